// SPDX-License-Identifier: Apache-2.0

package cgroupread

import "github.com/procfs-shim/procfs-shim/cgroupread/branch"

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
	if err := r.c.checkOpen(); err != nil {
		return err
	}
	return b.Read(r.record, pass)
}

// Record is what a Reader read, in order.
type Record = branch.Record
