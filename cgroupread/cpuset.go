// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Mems reads the memory nodes that the container may use: the effective ones of
// its cgroup, or of the nearest ancestor that has any. ok is false where no
// cpuset controller says anything, and every node may be used.
func (r Reader) Mems() (nodes cpulist.Set, ok bool, err error) {
	return r.effective("cpuset.mems.effective", "cpuset.effective_mems", &r.c.mems)
}

func (r Reader) effectiveCPUs(chain *limits.CPUChain) (err error) {
	chain.Effective, chain.HaveEffective, err = r.effective("cpuset.cpus.effective", "cpuset.effective_cpus", &r.c.cpus)
	return err
}

// parsedList is a list that a file held, and what it means: the same text isn't parsed
// again.
type parsedList struct {
	text string
	set  cpulist.Set
}

// effective is the list in the file of the nearest level that has one, the root
// included. An empty one is passed over: v1 shows that where nobody has filled
// cpuset.cpus yet, and no task can be there.
func (r Reader) effective(v2, v1 string, known *atomic.Pointer[parsedList]) (set cpulist.Set, ok bool, err error) {
	b := r.c.cpuset
	if b == nil {
		return cpulist.Set{}, false, nil
	}
	name := v1
	if b.Unified() {
		name = v2
	}
	err = r.read(b, func(p *branch.Pass) {
		for i := range b.Levels() {
			if set, ok = list(p, b.Level(i), name, known); ok {
				return
			}
		}
		if root := b.Root(); root != nil {
			set, ok = list(p, root, name, known)
		}
	})
	if err != nil {
		return cpulist.Set{}, false, err
	}
	return set, ok, nil
}

func list(p *branch.Pass, l *branch.Level, name string, known *atomic.Pointer[parsedList]) (cpulist.Set, bool) {
	text := bytes.TrimSpace(p.Text(l, name))
	if len(text) == 0 {
		return cpulist.Set{}, false
	}
	if k := known.Load(); k != nil && k.text == string(text) {
		return k.set, true
	}
	set, err := cgroupfile.ParseCPUList(text)
	if err != nil {
		p.Fail(l, name, err)
		return cpulist.Set{}, false
	}
	known.Store(&parsedList{string(text), set})
	return set, true
}
