// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
)

// How long the kernel may take a name or attributes as given. Those of a view
// never change while its slot is there.
const (
	nodeValid = time.Hour
	// Entries of the host's directories come and go with CPUs.
	hostValid = 10 * time.Millisecond
	// Names of containers come and go; only this process and whoever binds from
	// a bound tree ever look them up.
	containerValid = 0
)

// filesystem answers the kernel's requests from a Tree. Requests that it has no
// method for get go-fuse's ENOSYS, which makes most kernels stop asking: FLUSH,
// POLL, ACCESS, GETXATTR among them.
type filesystem struct {
	fuse.RawFileSystem
	tree  Tree
	host  *Host
	views *nodes.View
	// static is the tree if the kernel keeps its files; see static.go. It is set
	// before the first request.
	static *Static
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
	errno, _ := failure.Of(err)
	return fuse.Status(errno)
}

// listsContainers says whether the inode is the top of a tree that isn't a
// view: the directory of containers.
func (fs *filesystem) listsContainers(id uint64) bool {
	return id == fuse.FUSE_ROOT_ID && !fs.tree.has(0)
}

// find returns what an inode number stands for.
func (fs *filesystem) find(id uint64) (slot uint64, n *nodes.Node, err error) {
	slot, number := nodes.Split(id)
	if !fs.tree.has(slot) {
		return 0, nil, failure.ErrStale
	}
	n, err = fs.views.At(number)
	return slot, n, err
}

// findFor is find for somebody who may not see every node.
func (fs *filesystem) findFor(id uint64, reader uint32) (slot uint64, n *nodes.Node, err error) {
	slot, n, err = fs.find(id)
	if err == nil && n.Entry != nil {
		err = fs.tree.shows(slot, reader, n.Dir, func(shown func(*nodes.Node) bool) error {
			if !shown(n) {
				return nodes.ErrNone
			}
			return nil
		})
	}
	return slot, n, err
}

// attributes fills in what stat(2) shows of a node, and says how long it is
// valid.
func (fs *filesystem) attributes(slot uint64, n *nodes.Node, reader uint32, out *fuse.Attr) time.Duration {
	*out = fuse.Attr{
		Ino: nodes.Shown(slot, n.Number), Mode: n.Kind() | n.Mode, Nlink: n.Links(),
		Owner: fuse.Owner{Uid: n.UID, Gid: n.GID}, Blksize: blockSize,
	}
	fs.setTimes(out)
	valid := fs.valid(n)
	switch {
	case n.File != nil && fs.static != nil:
		out.Size, out.Blksize, valid = fs.version(slot, n, out), uint32(nominalSize()), staticValid
	case n.File != nil:
		size, sizeValid := fs.size(slot, n, reader)
		out.Size, out.Blksize, valid = size, uint32(nominalSize()), min(valid, sizeValid)
	case n.Target != "":
		out.Size = uint64(len(n.Target))
	}
	return valid
}

// valid is how long what was said of a node holds.
func (fs *filesystem) valid(n *nodes.Node) time.Duration {
	switch {
	case n.Entry == nil:
		return nodeValid
	case n.Dir.Own && fs.tree.has(0):
		return 0 // the next to ask may be in another container
	}
	return hostValid
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
			return status(nodes.ErrNone)
		}
		fs.entry(slot, fs.views.Top(), in.Pid, containerValid, out)
		return fuse.OK
	}
	slot, dir, err := fs.find(in.NodeId)
	if err != nil {
		return status(err)
	}
	if !dir.Directory() {
		return status(failure.ErrNotDirectory)
	}
	n, err := fs.views.Child(dir, name)
	if err != nil {
		return status(err)
	}
	if n.Entry != nil {
		if _, _, err := fs.findFor(nodes.Inode(slot, n.Number), in.Pid); err != nil {
			return status(err)
		}
	}
	fs.entry(slot, n, in.Pid, fs.valid(n), out)
	return fuse.OK
}

// entry fills in the answer to a LOOKUP.
func (fs *filesystem) entry(slot uint64, n *nodes.Node, reader uint32, valid time.Duration, out *fuse.EntryOut) {
	out.NodeId = nodes.Inode(slot, n.Number)
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
	slot, n, err := fs.findFor(in.NodeId, in.Pid)
	if err != nil {
		return status(err)
	}
	out.SetTimeout(fs.attributes(slot, n, in.Pid, &out.Attr))
	return fuse.OK
}

// Open implements fuse.RawFileSystem. It keeps nothing of the handle that it
// numbers.
func (fs *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	_, n, err := fs.findFor(in.NodeId, in.Pid)
	switch {
	case err != nil:
		return status(err)
	case n.File == nil:
		return status(failure.ErrDirectory)
	case in.Flags&unix.O_ACCMODE != unix.O_RDONLY || in.Flags&unix.O_TRUNC != 0:
		return status(failure.ErrReadOnly)
	case fs.static != nil:
		return fuse.ENOSYS // never ask again, for any file
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
	if n.File == nil {
		return nil, status(failure.ErrDirectory)
	}
	s, err := fs.text(slot, n, in)
	if err != nil {
		return nil, status(err)
	}
	return result(fs.host.pool, s, in.Offset, in.Size), fuse.OK
}

// text returns the snapshot that a READ is answered from, whose reference is the
// caller's.
func (fs *filesystem) text(slot uint64, n *nodes.Node, in *fuse.ReadIn) (*snapshot.Snapshot, error) {
	switch {
	case fs.static != nil:
		return fs.static.kept(slot, n.File)
	case in.ReadFlags&fuse.READ_LOCKOWNER == 0:
		return nil, failure.ErrCached
	}
	return fs.tree.read(readRequest{slot: slot, file: n.File, handle: in.Fh, offset: in.Offset, reader: in.Pid})
}

// Release implements fuse.RawFileSystem.
func (fs *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	slot, _ := nodes.Split(in.NodeId)
	fs.tree.released(slot, in.Fh)
}

// OpenDir implements fuse.RawFileSystem. Listings need no handle.
func (fs *filesystem) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	if fs.listsContainers(in.NodeId) {
		return fuse.OK
	}
	_, n, err := fs.findFor(in.NodeId, in.Pid)
	if err == nil && !n.Directory() {
		err = failure.ErrNotDirectory
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
	if !dir.Directory() {
		return status(failure.ErrNotDirectory)
	}
	list, err := fs.shownEntries(slot, dir, in.Pid)
	if err != nil {
		return status(err)
	}
	up := nodes.Shown(slot, dir.Up)
	if dir.Number == nodes.Top {
		up = fuse.FUSE_ROOT_ID
	}
	entries := []fuse.DirEntry{
		{Name: ".", Mode: unix.S_IFDIR, Ino: nodes.Shown(slot, dir.Number)},
		{Name: "..", Mode: unix.S_IFDIR, Ino: up},
	}
	for _, n := range list {
		entries = append(entries, fuse.DirEntry{Name: n.Name, Mode: n.Kind(), Ino: nodes.Shown(slot, n.Number)})
	}
	for at := in.Offset; at < uint64(len(entries)); at++ {
		entries[at].Off = at + 1
		if !out.AddDirEntry(entries[at]) {
			break
		}
	}
	return fuse.OK
}

// shownEntries returns the entries of a directory that the reader may see.
func (fs *filesystem) shownEntries(slot uint64, dir *nodes.Node, reader uint32) ([]*nodes.Node, error) {
	list, err := fs.views.List(dir)
	if err != nil || dir.Dir == nil {
		return list, err
	}
	err = fs.tree.shows(slot, reader, dir.Dir, func(shown func(*nodes.Node) bool) error {
		list = slices.DeleteFunc(list, func(n *nodes.Node) bool { return n.Entry != nil && !shown(n) })
		return nil
	})
	return list, err
}

// Readlink implements fuse.RawFileSystem.
func (fs *filesystem) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	_, n, err := fs.findFor(in.NodeId, in.Pid)
	if err == nil && n.Target == "" {
		err = failure.ErrNoLink
	}
	if err != nil {
		return nil, status(err)
	}
	return []byte(n.Target), fuse.OK
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
		e := fuse.DirEntry{Name: name, Mode: unix.S_IFDIR, Ino: nodes.Shown(next, nodes.Top), Off: next + 2}
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
