// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync"
	"testing"
	"time"
)

// notes is a Record.
type notes struct{ size int }

func (n *notes) Reset()    { n.size = 0 }
func (n *notes) Size() int { return n.size }

// IDs grow, whatever the clock does, and no two snapshots have the same.
func TestIDs(t *testing.T) {
	p := &Pool{}
	at := time.Unix(1000, 0)
	var last uint64
	for _, step := range []time.Duration{0, 0, time.Second, -time.Hour, 0, 2 * time.Hour} {
		at = at.Add(step)
		s := p.Get(at)
		if s.ID <= last {
			t.Errorf("the ID %d comes after %d", s.ID, last)
		}
		last = s.ID
		p.Release(s)
	}
	if want := uint64(at.UnixNano()); last != want {
		t.Errorf("the ID is %d, want the time %d", last, want)
	}
	if s := p.Get(time.Time{}); s.ID != last+1 {
		t.Errorf("before 1970 the ID is %d", s.ID)
	}
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				s := p.Get(at)
				mu.Lock()
				if seen[s.ID] {
					t.Errorf("two snapshots have the ID %d", s.ID)
				}
				seen[s.ID] = true
				mu.Unlock()
				p.Release(s)
			}
		})
	}
	all.Wait()
}

// What is kept beside a text is empty at first, and counts.
func TestRecords(t *testing.T) {
	p := &Pool{Records: func() Record { return &notes{} }}
	table, by := NewTable(p, 0), &Holder{}
	for handle := uint64(1); handle <= 3; handle++ {
		s := p.Get(time.Time{})
		if s.Record.Size() != 0 {
			t.Errorf("a new snapshot has a record of %d bytes", s.Record.Size())
		}
		kept, _ := s.Record.(*notes)
		kept.size = maxHeldBytes/2 + 1
		table.Put(handle, by, s)
		p.Release(s)
	}
	check(t, table, 2, Lost, "")
	if by.count != 1 {
		t.Errorf("%d snapshots are held", by.count)
	}
	table.Drop(by)
	if by.bytes != 0 {
		t.Errorf("%d bytes are still counted", by.bytes)
	}
	if s := p.Get(time.Time{}); s.Record == nil || s.Record.Size() != 0 {
		t.Errorf("used again with %+v", s.Record)
	}
}

func TestFind(t *testing.T) {
	p := &Pool{}
	table, by := NewTable(p, 0), &Holder{}
	s := make1(p, "text")
	table.Put(7, by, s)
	found := table.Find(s.ID)
	if found != s || table.Find(s.ID+1) != nil {
		t.Errorf("found %+v", found)
	}
	p.Release(found)
	id := s.ID
	p.Release(s)
	table.Release(7)
	if got := table.Find(id); got != nil {
		t.Errorf("found %+v, which nobody holds", got)
	}
}
