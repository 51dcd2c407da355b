// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Cgroup is an open handle on one container's cgroup: it reads limits and usage
// of the cgroup and its ancestors, and notices when it is deleted. Its methods
// may be called at the same time. It holds one descriptor for each hierarchy in
// use: one on v2, up to four on v1, and up to three more once CPU time, I/O and
// pressure were asked for.
type Cgroup struct {
	paths  Paths
	passes *branch.Pool

	// Branches by purpose, nil where no hierarchy has the controller. They are
	// the same one where the hierarchy is the same.
	memory, cpu, cpuset, hugetlb *branch.Branch
	branches                     []*branch.Branch // each of them once

	cpuacct late // v1's, or cgroup2
	io      late // v1's blkio, or cgroup2's io
	unified late // cgroup2, where the container has a cgroup of its own in it

	// What seldom changes isn't parsed again for each read.
	cpus, mems atomic.Pointer[parsedList]
	hugePages  atomic.Pointer[[]cgroupfile.HugePages]

	// users counts the reads that run, plus one until Close. The last one
	// closes the descriptors, so that none is closed, and its number reused,
	// under a read.
	users  atomic.Int64
	closed atomic.Bool
}

// Open opens the cgroup in every hierarchy that views need. [ErrGone] if it was
// deleted, [ErrOutside] if it isn't below what is mounted. A controller that no
// hierarchy has isn't an error: its chain is empty.
func (l *Layout) Open(p Paths) (*Cgroup, error) {
	c := &Cgroup{paths: p, passes: &l.passes}
	c.users.Store(1)
	opened := make(map[*Hierarchy]*branch.Branch)
	for _, use := range []struct {
		controller string
		branch     **branch.Branch
	}{
		{"memory", &c.memory}, {"cpu", &c.cpu}, {"cpuset", &c.cpuset}, {"hugetlb", &c.hugetlb},
	} {
		h := l.find(use.controller)
		if h == nil {
			continue
		}
		if opened[h] == nil {
			path, ok := h.path(p)
			if !ok {
				// Paths made on another host, or of a part of the hierarchies.
				_ = c.Close()
				return nil, fmt.Errorf("open cgroup: %s: it has no path in the hierarchy of %s: %w", p, use.controller, ErrNoController)
			}
			b, err := h.open(path)
			if err != nil {
				_ = c.Close()
				return nil, err
			}
			opened[h] = b
			c.branches = append(c.branches, b)
		}
		*use.branch = opened[h]
	}
	if err := c.cutMemory(); err != nil {
		_ = c.Close()
		return nil, err
	}
	own := l.ownUnified(p)
	for _, use := range []struct {
		late       *late
		candidates []*Hierarchy
	}{
		{&c.cpuacct, []*Hierarchy{l.find("cpuacct"), own}},
		{&c.io, []*Hierarchy{l.find("blkio"), l.find("io")}},
		{&c.unified, []*Hierarchy{own}},
	} {
		i := slices.IndexFunc(use.candidates, func(h *Hierarchy) bool { return h != nil })
		if i < 0 {
			continue
		}
		h := use.candidates[i]
		if path, ok := h.path(p); ok {
			use.late.h, use.late.path = h, path
			use.late.opened.Store(opened[h])
		}
	}
	return c, nil
}

// ownUnified is cgroup2 if the container has a cgroup of its own there, else nil.
// On hybrid many engines leave a container's processes in cgroup2 where they
// themselves are, among others: only a path that v1 has too is the container's.
func (l *Layout) ownUnified(p Paths) *Hierarchy {
	if l.mode == Hybrid && p.v1["memory"] != p.unified && p.v1["cpu"] != p.unified {
		return nil
	}
	return l.unified
}

// Paths is what the handle was opened with.
func (c *Cgroup) Paths() Paths { return c.paths }

// Memory is [Reader.Memory] without a record.
func (c *Cgroup) Memory() (limits.MemoryChain, error) { return c.Reader(nil).Memory() }

// AppendMemory is [Reader.AppendMemory] without a record.
func (c *Cgroup) AppendMemory(dst limits.MemoryChain) (limits.MemoryChain, error) {
	return c.Reader(nil).AppendMemory(dst)
}

// CPU is [Reader.CPU] without a record.
func (c *Cgroup) CPU() (limits.CPUChain, error) { return c.Reader(nil).CPU() }

// Hugetlb is [Reader.Hugetlb] without a record.
func (c *Cgroup) Hugetlb() (limits.HugetlbChain, error) { return c.Reader(nil).Hugetlb() }

// Close gives the descriptors back, those of reads in progress when they end.
// Later reads give [ErrClosed]. Closing twice does nothing.
func (c *Cgroup) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.release()
}

// acquire keeps the descriptors open until release.
func (c *Cgroup) acquire() error {
	for {
		n := c.users.Load()
		if n == 0 || c.closed.Load() {
			return fmt.Errorf("read cgroup: %s: %w", c.paths, ErrClosed)
		}
		if c.users.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (c *Cgroup) release() error {
	if c.users.Add(-1) > 0 {
		return nil
	}
	all := c.branches
	for _, l := range []*late{&c.cpuacct, &c.io, &c.unified} {
		if b := l.opened.Load(); b != nil && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	var first error
	for _, b := range all {
		if err := b.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
