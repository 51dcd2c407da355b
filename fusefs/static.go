// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
)

// # Files that the kernel keeps
//
// A bound file that changes only with the set of CPUs (File.Static) can stay in
// the kernel's page cache. It has a file system, so a FUSE connection, of its own,
// because what makes it fast is agreed on for a whole connection:
//
//	OPEN      is answered with ENOSYS: the kernel never asks again, and keeps the
//	          pages over an open (FUSE_NO_OPEN_SUPPORT, Linux 3.16)
//	GETATTR   has the exact size and, as st_mtime, the version of the text; another
//	          version makes the kernel drop its pages (FUSE_AUTO_INVAL_DATA, 3.10)
//	READ      gives the version that was told last
//
// The kernel asks for attributes before a read if those it has are too old. So the
// only request of most reads is that one, and none within staticValid. A kernel
// that hasn't both gets the files as from the other bound tree.
//
// READ doesn't look whether its version still holds: the kernel would show a new
// text within the old one's size. It asks for attributes first in all ways of
// reading but through an existing mapping (mmap(2)).
//
// While a version changes, a pass sees parts of both, and for the microseconds in
// which the kernel has the new size and the old page its end may be cut off, or
// filled up with zeros. That can happen with any file system that the page cache
// is kept for, and only to a reader beside the one by whom the kernel learnt it.

// staticValid is how long the kernel may keep a static file's attributes. It counts
// in jiffies, rounds up, and asks after the last one has passed (fuse_time_to_jiffies,
// fs/fuse/inode.c): 4 ms become at most 5, 8, 10 or 20 ms where HZ is 1000, 250,
// 300 or 100. A host file that a version is made from is at most 10 ms old then, so
// changes are seen within 20 ms (HZ=100: 30).
const staticValid = 4 * time.Millisecond

// Static is the tree of the static files of the containers in a Bound, in
// directories of the same names.
type Static struct {
	*Bound

	views *nodes.View
	live  bool
}

// NewStatic returns the tree of b's static files. It is to be served beside b's
// own, which has them too.
func NewStatic(b *Bound) *Static {
	present := func(f *File) (nodes.Like, bool) {
		if !f.Static {
			return nodes.Like{}, false
		}
		return b.host.present(f)
	}
	return &Static{Bound: b, views: nodes.New(present, nil)}
}

// NewStaticLive is NewStatic for a kernel that can't do without OPEN, whatever the
// kernel: its files behave as b's own.
func NewStaticLive(b *Bound) *Static {
	s := NewStatic(b)
	s.live = true
	return s
}

// layout implements Tree.
func (s *Static) layout() (*Host, *nodes.View) { return s.host, s.views }

// keptBy says whether the kernel at the other end of a connection can keep the
// tree's files.
func (s *Static) keptBy(kernel *fuse.InitIn) bool {
	const needed = fuse.CAP_NO_OPEN_SUPPORT | fuse.CAP_AUTO_INVAL_DATA
	return !s.live && kernel.Flags64()&needed == needed
}

// check brings what the kernel is told of a file up to now.
func (s *Static) check(slot uint64, f *File) (texts.Told, error) {
	c, ok := s.acquire(slot)
	if !ok {
		return texts.Told{}, failure.ErrStale
	}
	defer c.Release()
	return c.Check(f), nil
}

// kept returns the text that the kernel was told of last, whose reference is the
// caller's.
func (s *Static) kept(slot uint64, f *File) (*snapshot.Snapshot, error) {
	c, ok := s.acquire(slot)
	if !ok {
		return nil, failure.ErrStale
	}
	defer c.Release()
	return c.Kept(f)
}

// Init implements fuse.RawFileSystem. It is called when the kernel has said what it
// can do.
func (fs *filesystem) Init(server *fuse.Server) { fs.keep(server.KernelSettings()) }

// keep has the kernel keep the files of a Static tree, if it can.
func (fs *filesystem) keep(kernel *fuse.InitIn) {
	if s, ok := fs.tree.(*Static); ok && s.keptBy(kernel) {
		fs.static = s
	}
}

// version fills in the times of a file's version, and returns its size.
func (fs *filesystem) version(slot uint64, n *nodes.Node, out *fuse.Attr) uint64 {
	t, err := fs.static.check(slot, n.File)
	if err != nil {
		return nominalSize() // removed this moment: the next request is told
	}
	out.Mtime, out.Mtimensec = uint64(t.Since.Unix()), uint32(t.Since.Nanosecond())
	out.Ctime, out.Ctimensec = out.Mtime, out.Mtimensec
	if !t.Known {
		return nominalSize() // whoever reads is told why
	}
	return uint64(t.Size)
}
