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
	Text []byte    // written by whoever got it from the Pool, before anybody else has it
	At   time.Time // when the rendering began

	refs atomic.Int32
}

// A Pool recycles snapshots' memory. Its zero value is ready for use.
type Pool struct{ pool sync.Pool }

// Get returns an empty snapshot with one reference.
func (p *Pool) Get(at time.Time) *Snapshot {
	s, ok := p.pool.Get().(*Snapshot)
	if !ok {
		s = &Snapshot{}
	}
	s.Text, s.At = s.Text[:0], at
	s.refs.Store(1)
	return s
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
func (s *Snapshot) size() int { return cap(s.Text) }
