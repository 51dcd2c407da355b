// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"os"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// MemoryCounters reads every line of memory.stat and memory.events of the
// container's cgroup, descendants included, and appends it to dst: bytes, pages
// and events as the kernel names and counts them. On v1 they are the total_*
// lines, without that prefix, and oom_kill of memory.oom_control. Names are
// kept in dst's memory and used again. None for the root cgroup.
func (r Reader) MemoryCounters(dst []limits.Counter) ([]limits.Counter, error) {
	b := r.c.memory
	if b == nil || b.Levels() == 0 {
		return dst, nil
	}
	l, start := b.Level(0), len(dst)
	err := r.read(b, func(p *branch.Pass) {
		if b.Unified() {
			dst = counters(p, dst, l, "memory.stat", "")
			dst = counters(p, dst, l, "memory.events", "")
			return
		}
		dst = counters(p, dst, l, "memory.stat", "total_")
		text := p.Text(l, "memory.oom_control")
		if text == nil {
			return
		}
		n, ok, err := cgroupfile.ParseOOMKill(text)
		p.Fail(l, "memory.oom_control", err)
		if ok {
			dst = append(dst, limits.Counter{Name: "oom_kill", Value: n})
		}
	})
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func counters(p *branch.Pass, dst []limits.Counter, l *branch.Level, name, prefix string) []limits.Counter {
	text := p.Text(l, name)
	if text == nil {
		return dst
	}
	dst, err := cgroupfile.ParseCounters(dst, text, prefix)
	p.Fail(l, name, err)
	return dst
}

// NodeMemory reads what the container's cgroup has on each memory node, and
// appends it to dst in the kernel's order. None for the root cgroup.
func (r Reader) NodeMemory(dst []limits.NodeMemory) ([]limits.NodeMemory, error) {
	b := r.c.memory
	if b == nil || b.Levels() == 0 {
		return dst, nil
	}
	l, start := b.Level(0), len(dst)
	err := r.read(b, func(p *branch.Pass) {
		text := p.Text(l, "memory.numa_stat")
		if text == nil {
			return
		}
		var err error
		if b.Unified() {
			dst, err = cgroupfile.ParseNumaStat(dst, text)
		} else {
			dst, err = cgroupfile.ParseNumaStatV1(dst, text, uint64(os.Getpagesize()))
		}
		p.Fail(l, "memory.numa_stat", err)
	})
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}
