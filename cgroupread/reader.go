// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
)

// Reader reads a cgroup's files. It is a small value: make one for each read.
//
// Each method reads its files one after the other, so they may lag one another,
// and gives up at the first that can't be read: [ErrGone], [ErrClosed], a
// [*ParseError], or what reading gave. A file that isn't there is no error.
// Methods that append to dst use its spare memory and return dst as it was
// beside an error.
type Reader struct {
	c      *Cgroup
	record *Record
}

// Reader is a reader that notes in record what it read; record may be nil.
func (c *Cgroup) Reader(record *Record) Reader { return Reader{c, record} }

// read runs pass over a branch's files.
func (r Reader) read(b *branch.Branch, pass func(p *branch.Pass)) error {
	if err := r.c.acquire(); err != nil {
		return err
	}
	defer func() { _ = r.c.release() }()
	return r.c.passes.Read(b, r.record, pass)
}

// Record is what a Reader read, in order.
type Record = branch.Record

// late is the branch of a hierarchy that only some files need. It is opened when
// it is first read, if no other use has opened it: most containers are never
// asked for those files, and a descriptor would be kept for each.
type late struct {
	h      *Hierarchy // nil where no hierarchy has it
	path   string
	opened atomic.Pointer[branch.Branch]
}

// branch is l's branch, nil where no hierarchy has it.
func (r Reader) branch(l *late) (*branch.Branch, error) {
	if b := l.opened.Load(); b != nil || l.h == nil {
		return b, nil
	}
	if err := r.c.acquire(); err != nil { // Close then sees what is opened here
		return nil, err
	}
	defer func() { _ = r.c.release() }()
	b, err := l.h.open(l.path)
	if errors.Is(err, ErrOutside) {
		return nil, nil // not to be seen here, as if there were none
	}
	if err != nil {
		return nil, err
	}
	// The path leads to the cgroup that the handle was opened for only while
	// that is there: afterwards somebody may have made another one under its
	// name.
	if len(r.c.branches) > 0 {
		if err := r.read(r.c.branches[0], (*branch.Pass).Missed); err != nil {
			_ = b.Close()
			return nil, err
		}
	}
	if !l.opened.CompareAndSwap(nil, b) {
		_ = b.Close() // another read was faster
	}
	return l.opened.Load(), nil
}
