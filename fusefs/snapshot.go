// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A snapshot is the text that one rendering gave. It doesn't change while
// anybody holds a reference; when the last one is gone, its memory is used for
// the next.
type snapshot struct {
	text []byte
	at   time.Time // when its rendering began: nothing in it is older than the moment's rules allow
	refs atomic.Int32
}

// A snapshotPool recycles snapshots' memory.
type snapshotPool struct{ pool sync.Pool }

// get returns an empty snapshot with one reference.
func (p *snapshotPool) get(at time.Time) *snapshot {
	s, ok := p.pool.Get().(*snapshot)
	if !ok {
		s = &snapshot{}
	}
	s.text, s.at = s.text[:0], at
	s.refs.Store(1)
	return s
}

// retain adds a reference; the caller must hold one, or the lock of whoever
// does.
func (s *snapshot) retain() *snapshot {
	s.refs.Add(1)
	return s
}

// release gives one reference back.
func (p *snapshotPool) release(s *snapshot) {
	if s.refs.Add(-1) == 0 {
		p.pool.Put(s)
	}
}

// size is what the snapshot costs, in bytes.
func (s *snapshot) size() int { return cap(s.text) }

// A chunk is the part of a snapshot that answers one READ. go-fuse writes it
// to the device straight from the snapshot's memory and then calls Done.
type chunk struct {
	pool *snapshotPool
	snap *snapshot
	part [1][]byte
}

// result returns the answer to a READ of size bytes at offset and takes over
// the caller's reference to s.
func (p *snapshotPool) result(s *snapshot, offset uint64, size uint32) fuse.ReadResult {
	length := uint64(len(s.text))
	if offset >= length || size == 0 {
		// go-fuse doesn't call Done for an empty answer.
		p.release(s)
		return fuse.ReadResultData(nil)
	}
	end := min(length, offset+uint64(size))
	return &chunk{pool: p, snap: s, part: [1][]byte{s.text[offset:end]}}
}

// Size implements fuse.ReadResult.
func (c *chunk) Size() int { return len(c.part[0]) }

// Bytes implements fuse.ReadResult.
func (c *chunk) Bytes([]byte) ([]byte, fuse.Status) { return c.part[0], fuse.OK }

// Slices makes go-fuse send the bytes with writev(2), uncopied.
func (c *chunk) Slices() ([][]byte, fuse.Status) { return c.part[:], fuse.OK }

// Done implements fuse.ReadResult.
func (c *chunk) Done() { c.pool.release(c.snap) }
