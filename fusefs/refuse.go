// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
)

// Every request that would change something is refused with EROFS. Through the
// mounts that MountDevice makes, the kernel refuses before it asks; a mount that
// somebody made writable changes nothing either.

func refused() fuse.Status { return status(failure.ErrReadOnly) }

// SetAttr refuses chmod, chown, truncate and utimes.
func (*filesystem) SetAttr(<-chan struct{}, *fuse.SetAttrIn, *fuse.AttrOut) fuse.Status {
	return refused()
}

// Mknod refuses.
func (*filesystem) Mknod(<-chan struct{}, *fuse.MknodIn, string, *fuse.EntryOut) fuse.Status {
	return refused()
}

// Mkdir refuses.
func (*filesystem) Mkdir(<-chan struct{}, *fuse.MkdirIn, string, *fuse.EntryOut) fuse.Status {
	return refused()
}

// Unlink refuses.
func (*filesystem) Unlink(<-chan struct{}, *fuse.InHeader, string) fuse.Status { return refused() }

// Rmdir refuses.
func (*filesystem) Rmdir(<-chan struct{}, *fuse.InHeader, string) fuse.Status { return refused() }

// Rename refuses.
func (*filesystem) Rename(<-chan struct{}, *fuse.RenameIn, string, string) fuse.Status {
	return refused()
}

// Link refuses.
func (*filesystem) Link(<-chan struct{}, *fuse.LinkIn, string, *fuse.EntryOut) fuse.Status {
	return refused()
}

// Symlink refuses.
func (*filesystem) Symlink(<-chan struct{}, *fuse.InHeader, string, string, *fuse.EntryOut) fuse.Status {
	return refused()
}

// SetXAttr refuses.
func (*filesystem) SetXAttr(<-chan struct{}, *fuse.SetXAttrIn, string, []byte) fuse.Status {
	return refused()
}

// RemoveXAttr refuses.
func (*filesystem) RemoveXAttr(<-chan struct{}, *fuse.InHeader, string) fuse.Status {
	return refused()
}

// Create refuses.
func (*filesystem) Create(<-chan struct{}, *fuse.CreateIn, string, *fuse.CreateOut) fuse.Status {
	return refused()
}

// Tmpfile refuses.
func (*filesystem) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return refused()
}

// Write refuses.
func (*filesystem) Write(<-chan struct{}, *fuse.WriteIn, []byte) (uint32, fuse.Status) {
	return 0, refused()
}

// Writev refuses.
func (*filesystem) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, refused()
}

// CopyFileRange refuses.
func (*filesystem) CopyFileRange(<-chan struct{}, *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	return 0, refused()
}

// Fallocate refuses.
func (*filesystem) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status { return refused() }

// Flush says that there is no such thing, so that kernels without
// FOPEN_NOFLUSH ask once.
func (*filesystem) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }
