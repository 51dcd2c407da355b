// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Cgroup is a handle on one container's cgroup: it reads limits and usage of the
// cgroup and its ancestors, and notices when it is deleted. Its methods may be
// called at the same time. It takes less than 1 KiB of memory, and has files open
// only while it is among those read most recently (see [Descriptors]).
type Cgroup struct {
	paths Paths

	// Branches by purpose, nil where no hierarchy has the controller. They are
	// the same one where the hierarchy is the same.
	memory, cpu, cpuset, hugetlb *branch.Branch
	cpuacct                      *branch.Branch // v1's, or cgroup2
	io                           *branch.Branch // v1's blkio, or cgroup2's io
	unified                      *branch.Branch // cgroup2, where the container has a cgroup of its own in it

	// What seldom changes isn't parsed again for each read.
	cpus, mems atomic.Pointer[parsedList]
	hugePages  atomic.Pointer[[]cgroupfile.HugePages]

	closed atomic.Bool
}

// Open opens the cgroup in every hierarchy that views need. [ErrGone] if it was
// deleted, [ErrOutside] if it isn't below what is mounted. A controller that no
// hierarchy has isn't an error: its chain is empty.
func (l *Layout) Open(p Paths) (*Cgroup, error) {
	c := &Cgroup{paths: p}
	if err := c.open(l); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cgroup) open(l *Layout) error {
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
			path, ok := h.path(c.paths)
			if !ok {
				// Paths made on another host, or of a part of the hierarchies.
				return fmt.Errorf("open cgroup: %s: it has no path in the hierarchy of %s: %w", c.paths, use.controller, ErrNoController)
			}
			b, err := h.open(path)
			if err != nil {
				return err
			}
			opened[h] = b
		}
		*use.branch = opened[h]
	}
	if err := c.cutMemory(); err != nil {
		return err
	}
	// Few files are made from these, and a container may lack them.
	own := l.ownUnified(c.paths)
	for _, use := range []struct {
		branch     **branch.Branch
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
		path, ok := h.path(c.paths)
		if !ok {
			continue
		}
		if opened[h] == nil {
			b, err := h.open(path)
			switch {
			case errors.Is(err, ErrOutside):
				continue // not to be seen here, as if there were none
			case errors.Is(err, ErrGone):
				b = h.tree.Gone(path)
			case err != nil:
				return err
			}
			opened[h] = b
		}
		*use.branch = opened[h]
	}
	return nil
}

// ownUnified is cgroup2 if the container has a cgroup of its own there, else nil.
// On hybrid many engines leave a container's processes in cgroup2 where they
// themselves are, among others: only a path that v1 has too is the container's.
func (l *Layout) ownUnified(p Paths) *Hierarchy {
	memory, _ := p.v1.get("memory")
	cpu, _ := p.v1.get("cpu")
	if l.mode == Hybrid && memory != p.unified && cpu != p.unified {
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
	var first error
	for _, b := range c.branches() {
		if err := b.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// branches are all of them, each once.
func (c *Cgroup) branches() []*branch.Branch {
	var all []*branch.Branch
	for _, b := range []*branch.Branch{c.memory, c.cpu, c.cpuset, c.hugetlb, c.cpuacct, c.io, c.unified} {
		if b != nil && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// checkOpen is ErrClosed after Close. A read that has begun ends well: what it
// reads stays open as long.
func (c *Cgroup) checkOpen() error {
	if c.closed.Load() {
		return fmt.Errorf("read cgroup: %s: %w", c.paths, ErrClosed)
	}
	return nil
}
