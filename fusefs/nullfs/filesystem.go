// SPDX-License-Identifier: Apache-2.0

package nullfs

import (
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// valid is how long the kernel may keep names and attributes.
const valid = time.Hour

// filesystem answers the kernel's requests. Other requests get go-fuse's ENOSYS,
// as in package fusefs.
type filesystem struct {
	fuse.RawFileSystem
	tree    atomic.Pointer[tree]
	handles atomic.Uint64
}

func newFilesystem() *filesystem {
	fs := &filesystem{RawFileSystem: fuse.NewDefaultRawFileSystem()}
	fs.tree.Store(newTree(nil))
	return fs
}

// String implements fuse.RawFileSystem.
func (*filesystem) String() string { return name }

func attributes(n *node, out *fuse.Attr) {
	*out = fuse.Attr{Ino: n.id, Mode: unix.S_IFDIR | 0o555, Nlink: 2}
	if n.children == nil {
		*out = fuse.Attr{Ino: n.id, Mode: unix.S_IFREG | 0o444, Nlink: 1, Size: uint64(len(n.text))}
	}
}

// Lookup implements fuse.RawFileSystem.
func (fs *filesystem) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir := fs.tree.Load().at(in.NodeId)
	if dir == nil {
		return fuse.Status(unix.ESTALE)
	}
	n := dir.children[name]
	if n == nil {
		return fuse.ENOENT // not kept: the files may come later
	}
	out.NodeId = n.id
	out.SetEntryTimeout(valid)
	out.SetAttrTimeout(valid)
	attributes(n, &out.Attr)
	return fuse.OK
}

// GetAttr implements fuse.RawFileSystem.
func (fs *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := fs.tree.Load().at(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	out.SetTimeout(valid)
	attributes(n, &out.Attr)
	return fuse.OK
}

// Open implements fuse.RawFileSystem.
func (fs *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if n := fs.tree.Load().at(in.NodeId); n == nil || n.children != nil {
		return fuse.Status(unix.ESTALE)
	}
	out.Fh = fs.handles.Add(1)
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
	return fuse.OK
}

// Read implements fuse.RawFileSystem.
func (fs *filesystem) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	n := fs.tree.Load().at(in.NodeId)
	if n == nil {
		return nil, fuse.Status(unix.ESTALE)
	}
	length := uint64(len(n.text))
	begin := min(in.Offset, length)
	end := min(begin+uint64(in.Size), length)
	return fuse.ReadResultData(n.text[begin:end]), fuse.OK
}

// StatFs implements fuse.RawFileSystem.
func (*filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, NameLen: 255}
	return fuse.OK
}
