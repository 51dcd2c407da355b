// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"encoding/binary"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
)

// snapshotRequest is the ioctl(2) by which a reader asks which snapshot its open
// file shows: _IOR('p', 1, uint64).
const snapshotRequest = 2<<30 | 8<<16 | 'p'<<8 | 1

// Ioctl answers snapshotRequest with the snapshot's ID: ENODATA if the file was
// never read, or its snapshot was dropped. There are no others (ENOTTY).
func (fs *filesystem) Ioctl(_ <-chan struct{}, in *fuse.IoctlIn, _ []byte, _ *fuse.IoctlOut, out []byte) fuse.Status {
	if in.Cmd != snapshotRequest || len(out) < 8 {
		return status(failure.ErrNoRequest)
	}
	id, err := fs.snapshotID(in.NodeId, in.Fh)
	if err != nil {
		return status(err)
	}
	binary.NativeEndian.PutUint64(out, id)
	return fuse.OK
}

// snapshotID returns the ID of the snapshot that an open file shows.
func (fs *filesystem) snapshotID(node, handle uint64) (uint64, error) {
	if fs.static == nil {
		slot, _ := nodes.Split(node)
		if id, ok := fs.tree.snapshotOf(slot, handle); ok {
			return id, nil
		}
		return 0, failure.ErrNoSnapshot
	}
	slot, n, err := fs.find(node)
	if err != nil || n.File == nil {
		return 0, failure.ErrNoSnapshot
	}
	s, err := fs.static.kept(slot, n.File)
	if err != nil {
		return 0, err
	}
	defer fs.host.pool.Release(s)
	return s.ID, nil
}
