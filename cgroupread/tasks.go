// SPDX-License-Identifier: Apache-2.0

package cgroupread

import "github.com/procfs-shim/procfs-shim/cgroupread/branch"

// Tasks appends to dst the TIDs of the threads in the container's cgroup and all
// below it, in the program's PID namespace, until dst has most of them. complete
// says that these are all: there were no more threads, and no more than 4096
// cgroups. None for the root cgroup.
//
// The walk isn't atomic: a thread that is moved meanwhile can be there twice, or
// not at all, and may have ended by now.
func (r Reader) Tasks(dst []int, most int) (tids []int, complete bool, err error) {
	b := r.c.taskBranch()
	if b == nil {
		return dst, true, nil
	}
	if err := r.c.checkOpen(); err != nil {
		return dst, false, err
	}
	start := len(dst)
	err = b.Once(func(p *branch.Pass) {
		dst, complete = p.Threads(dst, most)
	})
	if err != nil {
		return dst[:start], false, err
	}
	return dst, complete, nil
}

// taskBranch is that of the first hierarchy in which the container has a cgroup,
// or nil.
func (c *Cgroup) taskBranch() *branch.Branch {
	for _, b := range c.branches() {
		if b.Levels() > 0 {
			return b
		}
	}
	return nil
}
