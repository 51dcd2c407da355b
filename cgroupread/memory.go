// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Memory reads limits, usage and statistics of each level. Of an ancestor
// without a limit only that is read: what it uses bounds nothing, and
// memory.stat takes the kernel longer than all other files together.
func (r Reader) Memory() (limits.MemoryChain, error) { return r.AppendMemory(nil) }

// AppendMemory appends the levels to dst.
func (r Reader) AppendMemory(dst limits.MemoryChain) (limits.MemoryChain, error) {
	b := r.c.memory
	if b == nil {
		return dst, nil
	}
	start := len(dst)
	err := r.read(b, func(p *branch.Pass) {
		for i := range b.Levels() {
			dst = append(dst, limits.Memory{Path: b.Level(i).Path})
			m := &dst[len(dst)-1]
			if b.Unified() {
				memoryV2(p, b.Level(i), m, i == 0)
			} else {
				memoryV1(p, b.Level(i), m, i == 0)
			}
		}
	})
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func memoryV2(p *branch.Pass, l *branch.Level, m *limits.Memory, own bool) {
	m.Max = limit(p, l, "memory.max")
	m.High = limit(p, l, "memory.high")
	m.SwapMax = limit(p, l, "memory.swap.max")
	counts := own || isLimited(m.Max) || isLimited(m.High)
	if counts {
		m.Usage = usage(p, l, "memory.current")
	}
	if own || isLimited(m.SwapMax) {
		m.SwapUsage = usage(p, l, "memory.swap.current")
	}
	if !counts {
		return
	}
	if text := p.Text(l, "memory.stat"); text != nil {
		p.Fail(l, "memory.stat", cgroupfile.ParseMemoryStat(text, &m.Stat))
	}
}

func isLimited(l limits.Limit) bool {
	_, limited := l.Value()
	return limited
}

func memoryV1(p *branch.Pass, l *branch.Level, m *limits.Memory, own bool) {
	m.Max = limit(p, l, "memory.limit_in_bytes")
	// Missing where the kernel doesn't count swap (swapaccount=0).
	m.MemorySwapMax = limit(p, l, "memory.memsw.limit_in_bytes")
	if most, limited := m.Max.Value(); limited {
		m.SwapMax = m.MemorySwapMax.Less(most)
	} else {
		m.SwapMax = m.MemorySwapMax
	}
	if !own && !isLimited(m.Max) && !isLimited(m.MemorySwapMax) {
		return
	}
	m.Usage = usage(p, l, "memory.usage_in_bytes")
	if text := p.Text(l, "memory.stat"); text != nil {
		swap, err := cgroupfile.ParseMemoryStatV1(text, &m.Stat)
		m.SwapUsage = swap
		p.Fail(l, "memory.stat", err)
	}
}

// limit is the limit in a file, none if it isn't there.
func limit(p *branch.Pass, l *branch.Level, name string) limits.Limit {
	text := p.Text(l, name)
	if text == nil {
		return limits.None()
	}
	limit, err := cgroupfile.ParseLimit(text)
	p.Fail(l, name, err)
	return limit
}

// usage is the number in a file, 0 if it isn't there.
func usage(p *branch.Pass, l *branch.Level, name string) uint64 {
	text := p.Text(l, name)
	if text == nil {
		return 0
	}
	n, err := cgroupfile.ParseUsage(text)
	p.Fail(l, name, err)
	return n
}

// cutMemory ends v1's memory chain below the first ancestor with
// memory.use_hierarchy 0: such a cgroup doesn't limit its children. Kernels from
// 5.11 on know no such thing and show 1. A cgroup with children can't change it,
// so looking once is enough.
func (c *Cgroup) cutMemory() error {
	b := c.memory
	if b == nil || b.Unified() {
		return nil
	}
	return b.Once(func(p *branch.Pass) {
		for i := 1; i < b.Levels(); i++ {
			text := p.Text(b.Level(i), "memory.use_hierarchy")
			if len(text) > 0 && text[0] == '0' {
				b.Cut(i)
				return
			}
		}
	})
}
