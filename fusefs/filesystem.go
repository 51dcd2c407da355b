// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// How long the kernel may take a name or attributes as given. Those of a view
// never change while its slot is there.
const (
	nodeValid = time.Hour
	// Names of containers come and go; only this process and whoever binds from
	// a bound tree ever look them up.
	containerValid = 0
)

// filesystem answers the kernel's requests from a Tree. Requests that it has no
// method for get go-fuse's ENOSYS, which makes most kernels stop asking: FLUSH,
// POLL, ACCESS, GETXATTR, IOCTL among them.
type filesystem struct {
	fuse.RawFileSystem
	tree  Tree
	host  *Host
	views nodes
}

// newFilesystem returns the requests' end of t.
func newFilesystem(t Tree) *filesystem {
	host, views := t.layout()
	return &filesystem{RawFileSystem: fuse.NewDefaultRawFileSystem(), tree: t, host: host, views: views}
}

// String implements fuse.RawFileSystem.
func (*filesystem) String() string { return OurName().Source }

// status makes a FUSE answer of an error.
func status(err error) fuse.Status {
	errno, _ := outcome(err)
	return fuse.Status(errno)
}

// listsContainers says whether the inode is the top of a tree that isn't a
// view: the directory of containers.
func (fs *filesystem) listsContainers(id uint64) bool {
	return id == fuse.FUSE_ROOT_ID && !fs.tree.has(0)
}

// find returns what an inode number stands for.
func (fs *filesystem) find(id uint64) (slot uint64, n *node, err error) {
	slot, number := splitInode(id)
	n, ok := fs.views[number]
	if !ok || !fs.tree.has(slot) {
		return 0, nil, errStale
	}
	return slot, n, nil
}

// attributes fills in what stat(2) shows of a node, and says how long it is
// valid.
func (fs *filesystem) attributes(slot uint64, n *node, reader uint32, out *fuse.Attr) time.Duration {
	*out = fuse.Attr{
		Ino: inode(slot, n.number), Mode: unix.S_IFDIR | n.mode, Nlink: n.links(),
		Owner: fuse.Owner{Uid: n.uid, Gid: n.gid}, Blksize: blockSize,
	}
	fs.setTimes(out)
	if n.file == nil {
		return nodeValid
	}
	out.Mode = unix.S_IFREG | n.mode
	size, valid := fs.size(slot, n, reader)
	out.Size, out.Blksize = size, uint32(nominalSize())
	return valid
}

// topAttributes are those of the directory of containers.
func (fs *filesystem) topAttributes(out *fuse.Attr) {
	*out = fuse.Attr{Ino: fuse.FUSE_ROOT_ID, Mode: unix.S_IFDIR | 0o555, Nlink: 2, Blksize: blockSize}
	fs.setTimes(out)
}

// blockSize is a directory's st_blksize, and the unit of statfs(2).
const blockSize = 4096

// setTimes gives an inode the time at which the server started, as procfs
// gives its inodes that at which they came into being.
func (fs *filesystem) setTimes(out *fuse.Attr) {
	seconds, nanos := uint64(max(0, fs.host.start.Unix())), uint32(fs.host.start.Nanosecond())
	out.Atime, out.Mtime, out.Ctime = seconds, seconds, seconds
	out.Atimensec, out.Mtimensec, out.Ctimensec = nanos, nanos, nanos
}

// Lookup implements fuse.RawFileSystem.
func (fs *filesystem) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if fs.listsContainers(in.NodeId) {
		slot, ok := fs.tree.slotNamed(name)
		if !ok {
			return status(errNoEntry)
		}
		fs.entry(slot, fs.views[topNumber], in.Pid, containerValid, out)
		return fuse.OK
	}
	slot, dir, err := fs.find(in.NodeId)
	if err != nil {
		return status(err)
	}
	if dir.file != nil {
		return status(errNotDirectory)
	}
	n, ok := dir.child(name)
	if !ok {
		return status(errNoEntry)
	}
	fs.entry(slot, n, in.Pid, nodeValid, out)
	return fuse.OK
}

// entry fills in the answer to a LOOKUP.
func (fs *filesystem) entry(slot uint64, n *node, reader uint32, valid time.Duration, out *fuse.EntryOut) {
	out.NodeId = inode(slot, n.number)
	out.SetEntryTimeout(valid)
	out.SetAttrTimeout(fs.attributes(slot, n, reader, &out.Attr))
}

// GetAttr implements fuse.RawFileSystem.
func (fs *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.SetTimeout(nodeValid)
	if fs.listsContainers(in.NodeId) {
		fs.topAttributes(&out.Attr)
		return fuse.OK
	}
	slot, n, err := fs.find(in.NodeId)
	if err != nil {
		return status(err)
	}
	out.SetTimeout(fs.attributes(slot, n, in.Pid, &out.Attr))
	return fuse.OK
}

// Open implements fuse.RawFileSystem. It keeps nothing of the handle that it
// numbers.
func (fs *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	_, n, err := fs.find(in.NodeId)
	switch {
	case err != nil:
		return status(err)
	case n.file == nil:
		return status(errDirectory)
	case in.Flags&unix.O_ACCMODE != unix.O_RDONLY || in.Flags&unix.O_TRUNC != 0:
		return status(errReadOnly)
	}
	out.Fh = fs.host.handles.Add(1)
	// Direct I/O: the kernel asks for every read, whatever the size. NOFLUSH (from 5.16 on) saves a round trip at each close.
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
	return fuse.OK
}

// Read implements fuse.RawFileSystem.
func (fs *filesystem) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	slot, n, err := fs.find(in.NodeId)
	if err != nil {
		return nil, status(err)
	}
	if n.file == nil {
		return nil, status(errDirectory)
	}
	if in.ReadFlags&fuse.READ_LOCKOWNER == 0 {
		return nil, status(errCached)
	}
	s, err := fs.tree.read(readRequest{slot: slot, file: n.file, handle: in.Fh, offset: in.Offset, reader: in.Pid})
	if err != nil {
		return nil, status(err)
	}
	return result(fs.host.pool, s, in.Offset, in.Size), fuse.OK
}

// Release implements fuse.RawFileSystem.
func (fs *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	slot, _ := splitInode(in.NodeId)
	fs.tree.released(slot, in.Fh)
}

// OpenDir implements fuse.RawFileSystem. Listings need no handle.
func (fs *filesystem) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	if fs.listsContainers(in.NodeId) {
		return fuse.OK
	}
	_, n, err := fs.find(in.NodeId)
	if err == nil && n.file != nil {
		err = errNotDirectory
	}
	return status(err)
}

// ReadDir implements fuse.RawFileSystem. Offsets are places in a fixed list,
// or slots, which are never given again, so that a listing under way neither
// repeats nor misses an entry when others come and go.
func (fs *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if fs.listsContainers(in.NodeId) {
		fs.listContainers(in.Offset, out)
		return fuse.OK
	}
	slot, dir, err := fs.find(in.NodeId)
	if err != nil {
		return status(err)
	}
	if dir.file != nil {
		return status(errNotDirectory)
	}
	up := inode(slot, dir.parent.number)
	if dir.parent == dir {
		up = fuse.FUSE_ROOT_ID
	}
	entries := []fuse.DirEntry{
		{Name: ".", Mode: unix.S_IFDIR, Ino: inode(slot, dir.number)},
		{Name: "..", Mode: unix.S_IFDIR, Ino: up},
	}
	for _, n := range dir.children {
		mode := uint32(unix.S_IFDIR)
		if n.file != nil {
			mode = unix.S_IFREG
		}
		entries = append(entries, fuse.DirEntry{Name: n.name, Mode: mode, Ino: inode(slot, n.number)})
	}
	for at := in.Offset; at < uint64(len(entries)); at++ {
		entries[at].Off = at + 1
		if !out.AddDirEntry(entries[at]) {
			break
		}
	}
	return fuse.OK
}

// listContainers lists the top of the tree from an offset on: 0 and 1 stand
// for "." and "..", s+2 for what comes after slot s.
func (fs *filesystem) listContainers(from uint64, out *fuse.DirEntryList) {
	for dots := []string{".", ".."}; from < uint64(len(dots)); from++ {
		e := fuse.DirEntry{Name: dots[from], Mode: unix.S_IFDIR, Ino: fuse.FUSE_ROOT_ID, Off: from + 1}
		if !out.AddDirEntry(e) {
			return
		}
	}
	for slot := from - 2; ; {
		next, name, ok := fs.tree.slotAfter(slot)
		if !ok {
			return
		}
		e := fuse.DirEntry{Name: name, Mode: unix.S_IFDIR, Ino: inode(next, topNumber), Off: next + 2}
		if !out.AddDirEntry(e) {
			return
		}
		slot = next
	}
}

// StatFs implements fuse.RawFileSystem: like procfs, a file system without
// blocks.
func (*filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: blockSize, Frsize: blockSize, NameLen: 255}
	return fuse.OK
}
