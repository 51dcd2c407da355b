// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// make1 returns a snapshot with this text and one reference.
func make1(p *Pool, text string) *Snapshot {
	s := p.Get(time.Time{})
	s.Text = append(s.Text, text...)
	return s
}

// put puts a text for a handle, as a read does.
func put(t *Table, handle uint64, by *Holder, text string) {
	s := make1(t.pool, text)
	t.Put(handle, by, s)
	t.pool.Release(s)
}

// check compares what the table says of a handle.
func check(t *testing.T, table *Table, handle uint64, want State, text string) {
	t.Helper()
	s, state := table.Get(handle)
	if state != want {
		t.Errorf("handle %d is in state %d, want %d", handle, state, want)
	}
	if s == nil {
		return
	}
	if string(s.Text) != text {
		t.Errorf("handle %d has %q, want %q", handle, s.Text, text)
	}
	table.pool.Release(s)
}

func TestTable(t *testing.T) {
	table, by := NewTable(&Pool{}, 10), &Holder{}
	check(t, table, 10, Lost, "") // a former process's
	check(t, table, 11, Unread, "")
	put(table, 11, by, "first")
	check(t, table, 11, Kept, "first")
	put(table, 11, by, "second")
	check(t, table, 11, Kept, "second")
	put(table, 10, by, "anew")
	check(t, table, 10, Kept, "anew")
	table.Release(11)
	table.Release(11)
	check(t, table, 11, Unread, "")
	table.Drop(by)
	check(t, table, 10, Lost, "")
	if by.count != 0 || by.bytes != 0 || by.oldest != nil || by.newest != nil {
		t.Errorf("the holder still holds %+v", by)
	}
}

func TestPutFirst(t *testing.T) {
	table, by := NewTable(&Pool{}, 0), &Holder{}
	one := table.PutFirst(1, by, make1(table.pool, "one"))
	two := table.PutFirst(1, by, make1(table.pool, "two"))
	if string(one.Text) != "one" || two != one {
		t.Errorf("two first reads see %q and %q", one.Text, two.Text)
	}
	table.pool.Release(one)
	table.pool.Release(two)
	check(t, table, 1, Kept, "one")
}

func TestLeastRecentlyReadIsDropped(t *testing.T) {
	table, by, other := NewTable(&Pool{}, 0), &Holder{}, &Holder{}
	put(table, 1_000_000, other, "another container's")
	for handle := uint64(1); handle <= maxHeldSnapshots; handle++ {
		put(table, handle, by, "text")
	}
	check(t, table, 1, Kept, "text") // and now 2 is the oldest
	put(table, 5000, by, "text")
	check(t, table, 1, Kept, "text")
	check(t, table, 2, Lost, "")
	check(t, table, 3, Kept, "text")
	check(t, table, 1_000_000, Kept, "another container's")
	put(table, 2, by, "anew")
	check(t, table, 2, Kept, "anew")
}

func TestBytesAreBounded(t *testing.T) {
	table, by := NewTable(&Pool{}, 0), &Holder{}
	huge := string(make([]byte, maxHeldBytes+1))
	put(table, 1, by, huge)
	check(t, table, 1, Kept, huge) // the last one always fits
	put(table, 2, by, huge)
	check(t, table, 1, Lost, "")
	check(t, table, 2, Kept, huge)
	put(table, 3, by, "small")
	check(t, table, 2, Lost, "")
	check(t, table, 3, Kept, "small")
}

// However many handles lose their snapshots, the table's memory is bounded, and
// none of them is ever taken for one that was not read.
func TestHorizon(t *testing.T) {
	table, by := NewTable(&Pool{}, 0), &Holder{}
	const many = 3 * maxDropped
	for handle := uint64(1); handle <= many; handle++ {
		put(table, handle, by, "text")
	}
	if len(table.dropped) > maxDropped || len(table.held) > maxHeldSnapshots {
		t.Errorf("%d handles are listed as dropped, %d hold something", len(table.dropped), len(table.held))
	}
	for handle := uint64(1); handle <= many-maxHeldSnapshots; handle++ {
		check(t, table, handle, Lost, "")
	}
	check(t, table, many+1, Unread, "")
	table.Release(many)
	check(t, table, many, Unread, "")
}

// Threads that read, close and lose snapshots never see another handle's text.
func TestConcurrent(t *testing.T) {
	table := NewTable(&Pool{}, 0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			by := &Holder{}
			for range 5000 {
				handle := uint64(rand.IntN(2000)) + 1
				want := fmt.Sprint("text of ", handle)
				switch rand.IntN(4) {
				case 0:
					put(table, handle, by, want)
				case 1:
					table.Release(handle)
				case 2:
					if rand.IntN(500) == 0 {
						table.Drop(by)
					}
				case 3:
					if s, state := table.Get(handle); state == Kept {
						if string(s.Text) != want {
							t.Errorf("handle %d has %q", handle, s.Text)
						}
						table.pool.Release(s)
					}
				}
			}
		})
	}
	all.Wait()
}
