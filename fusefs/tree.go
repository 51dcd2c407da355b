// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
)

// A Tree is what [Serve] serves: a *[Bound] or a *[Shared].
//
// Its methods take inode numbers apart into slots and nodes; see the package
// comment. None is called while a lock of this package is held.
type Tree interface {
	// layout returns the host, and the nodes below each slot.
	layout() (*Host, *nodes.View)
	// has says whether there is a view in this slot. The top of a tree, slot 0,
	// is one itself or else the directory of those in the other slots.
	has(slot uint64) bool
	// slotNamed and slotAfter look up and list the entries of the top of a tree
	// that is not a view itself.
	slotNamed(name string) (slot uint64, ok bool)
	slotAfter(slot uint64) (next uint64, name string, ok bool)
	// read returns the snapshot that the request is answered from, whose
	// reference is the caller's.
	read(r readRequest) (*snapshot.Snapshot, error)
	// measure returns the length of the text that the reader would see now.
	measure(slot uint64, f *File, reader uint32) (int, error)
	// released is told that a handle was closed.
	released(slot, handle uint64)
	// shows calls do with what says which entries of one of the host's directories
	// the reader may see, and returns its error.
	shows(slot uint64, reader uint32, d *source.Directory, do func(shown func(*nodes.Node) bool) error) error
	// snapshotOf returns the ID of the snapshot that a handle holds.
	snapshotOf(slot, handle uint64) (id uint64, ok bool)
}

// A readRequest is a READ that is to be answered.
type readRequest struct {
	slot   uint64
	file   *File
	handle uint64
	offset uint64
	reader uint32 // TID, 0 when not visible
}

// from finds the snapshot to answer from: at offset 0 a new one, elsewhere the
// handle's. render makes a new one and says for whom it counts.
func (r readRequest) from(
	t *snapshot.Table, render func() (*snapshot.Snapshot, *snapshot.Holder, error),
) (*snapshot.Snapshot, error) {
	if r.offset > 0 {
		switch s, state := t.Get(r.handle); state {
		case snapshot.Kept:
			return s, nil
		case snapshot.Lost:
			return nil, failure.ErrSnapshotGone
		case snapshot.Unread: // a first read in the middle is as good as one at the start
		}
	}
	s, by, err := render()
	if err != nil {
		return nil, err
	}
	if r.offset > 0 {
		return t.PutFirst(r.handle, by, s), nil
	}
	t.Put(r.handle, by, s)
	return s, nil
}

// all is what shows calls do with where everybody sees everything.
func all(*nodes.Node) bool { return true }

// held returns the ID of the snapshot that a handle holds.
func held(p *snapshot.Pool, t *snapshot.Table, handle uint64) (id uint64, ok bool) {
	s, state := t.Get(handle)
	if state != snapshot.Kept {
		return 0, false
	}
	defer p.Release(s)
	return s.ID, true
}

// showsOf is shows for one container. When it can't be said what the container
// has, names are shown, and whoever reads a file is told why, or what it said last.
func showsOf(c *texts.Texts, d *source.Directory, do func(shown func(*nodes.Node) bool) error) error {
	shown, err := d.Shows(c.Source())
	if err != nil {
		return do(all)
	}
	return do(func(n *nodes.Node) bool { return shown(n.Entry) })
}
