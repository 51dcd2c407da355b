// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Snapshot is the text that one rendering gave. It doesn't change while
// anybody holds a reference; when the last one is gone, its memory is used for
// the next.
type Snapshot struct {
	// ID names the snapshot: a later one has a higher ID, and none of the pool has
	// the same. It is the time in nanoseconds, if no other had that.
	ID   uint64
	Text []byte    // written by whoever got it from the Pool, before anybody else has it
	At   time.Time // when the rendering began
	// Record is what the text was made from: one that the Pool's Records made, nil
	// without. It is written as Text is.
	Record Record

	refs atomic.Int32
}

// A Record is what is kept beside a text.
type Record interface {
	Reset()
	Size() int // in bytes
}

// A Pool recycles snapshots' memory. Its zero value is ready for use.
type Pool struct {
	// Records makes an empty Record for a new snapshot; nil: there are none.
	Records func() Record

	pool sync.Pool
	last atomic.Uint64 // the ID given last
}

// Get returns an empty snapshot with one reference.
func (p *Pool) Get(at time.Time) *Snapshot {
	s, ok := p.pool.Get().(*Snapshot)
	if !ok {
		s = &Snapshot{}
		if p.Records != nil {
			s.Record = p.Records()
		}
	}
	s.ID, s.Text, s.At = p.id(at), s.Text[:0], at
	if s.Record != nil {
		s.Record.Reset()
	}
	s.refs.Store(1)
	return s
}

// id returns an ID that was not given before.
func (p *Pool) id(at time.Time) uint64 {
	for {
		last := p.last.Load()
		id := max(last+1, uint64(max(0, at.UnixNano())))
		if p.last.CompareAndSwap(last, id) {
			return id
		}
	}
}

// Retain adds a reference and returns s. The caller must hold one, or the lock
// under which somebody does.
func (s *Snapshot) Retain() *Snapshot {
	s.refs.Add(1)
	return s
}

// Release gives one reference back.
func (p *Pool) Release(s *Snapshot) {
	if s.refs.Add(-1) == 0 {
		p.pool.Put(s)
	}
}

// size is what the snapshot costs, in bytes.
func (s *Snapshot) size() int {
	if s.Record == nil {
		return cap(s.Text)
	}
	return cap(s.Text) + s.Record.Size()
}
