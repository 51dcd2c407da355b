// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"fmt"
	"sync/atomic"
)

// Cgroup is an open handle on one container's cgroup: it reads limits and usage
// of the cgroup and its ancestors, and notices when it is deleted. Its methods
// may be called at the same time. It holds one descriptor for each hierarchy in
// use: one on v2, up to four on v1.
type Cgroup struct {
	paths   Paths
	buffers *bufferPool

	// Branches by purpose, nil where no hierarchy has the controller. They are
	// the same one where the hierarchy is the same.
	memory, cpu, cpuset, hugetlb *branch
	branches                     []*branch // each once

	pageSizes atomic.Pointer[[]pageSize] // of hugetlb files, once found

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
	c := &Cgroup{paths: p, buffers: &l.buffers}
	c.users.Store(1)
	opened := make(map[*Hierarchy]*branch)
	for _, use := range []struct {
		controller string
		branch     **branch
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
			b, err := openBranch(h, path)
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
	return c, nil
}

// Paths is what the handle was opened with.
func (c *Cgroup) Paths() Paths { return c.paths }

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
	var first error
	for _, b := range c.branches {
		if err := b.close(); err != nil && first == nil {
			first = fmt.Errorf("close cgroup: %s: %w", b.dir, err)
		}
	}
	return first
}

// reading is one pass over a branch's files: it remembers whether one was
// missing, and the first error.
type reading struct {
	b      *branch
	buf    *[]byte
	missed bool
	err    error
}

// read runs pass with a buffer from the pool, and turns files that were missing
// because the cgroup is gone into ErrGone.
func (c *Cgroup) read(b *branch, pass func(r *reading)) error {
	if err := c.acquire(); err != nil {
		return err
	}
	defer func() { _ = c.release() }()
	r := &reading{b: b, buf: c.buffers.get()}
	defer c.buffers.put(r.buf)
	pass(r)
	// A gone cgroup explains every other error, so it comes first.
	if r.missed || r.err != nil {
		if err := b.gone(); err != nil {
			return err
		}
	}
	return r.err
}

// text is a file's text, valid until the next call; nil if it isn't there or an
// error came before.
func (r *reading) text(l *level, name string) []byte {
	if r.err != nil {
		return nil
	}
	text, err := r.b.read(l, name, r.buf)
	if err != nil {
		r.err = err
	} else if text == nil {
		r.missed = true
	}
	return text
}

// fail keeps a parser's error, with the file's path.
func (r *reading) fail(l *level, name string, err error) {
	if err != nil && r.err == nil {
		r.err = atPath(err, r.b.file(l, name))
	}
}
