// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
)

// A chunk is the part of a snapshot that answers one READ. go-fuse writes it
// to the device straight from the snapshot's memory and then calls Done.
type chunk struct {
	pool *snapshot.Pool
	snap *snapshot.Snapshot
	part [1][]byte
}

// result returns the answer to a READ of size bytes at offset and takes over
// the caller's reference to s.
func result(p *snapshot.Pool, s *snapshot.Snapshot, offset uint64, size uint32) fuse.ReadResult {
	length := uint64(len(s.Text))
	if offset >= length || size == 0 {
		// go-fuse doesn't call Done for an empty answer.
		p.Release(s)
		return fuse.ReadResultData(nil)
	}
	end := min(length, offset+uint64(size))
	return &chunk{pool: p, snap: s, part: [1][]byte{s.Text[offset:end]}}
}

// Size implements fuse.ReadResult.
func (c *chunk) Size() int { return len(c.part[0]) }

// Bytes implements fuse.ReadResult.
func (c *chunk) Bytes([]byte) ([]byte, fuse.Status) { return c.part[0], fuse.OK }

// Slices makes go-fuse send the bytes with writev(2), uncopied.
func (c *chunk) Slices() ([][]byte, fuse.Status) { return c.part[:], fuse.OK }

// Done implements fuse.ReadResult.
func (c *chunk) Done() { c.pool.Release(c.snap) }
