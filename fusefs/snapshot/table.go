// SPDX-License-Identifier: Apache-2.0

package snapshot

import "sync"

// What one container's readers can make this process hold. A host of 256 CPUs
// has a cpuinfo of some 400 kB.
const (
	maxHeldSnapshots = 512
	maxHeldBytes     = 4 << 20
	// maxDropped bounds how many handles are known, one by one, to have lost
	// their snapshot.
	maxDropped = 4096
)

// A Table knows which open file handle holds which snapshot. Handles are
// numbered upwards and only those that hold something are in it: opening a
// file makes no entry, so any number of descriptors costs nothing.
type Table struct {
	pool *Pool

	mu   sync.Mutex
	held map[uint64]*held
	// dropped are the open handles whose snapshot was dropped past the bound.
	dropped map[uint64]struct{}
	// horizon stands for the dropped handles that are no more listed, and for
	// those opened before this process: a handle up to it that holds nothing
	// counts as one whose snapshot is gone.
	horizon uint64
}

// held is one handle's snapshot, in the list of the container it counts for.
type held struct {
	handle     uint64
	snap       *Snapshot
	by         *Holder
	prev, next *held
}

// A Holder is one container's share of a table: its snapshots, in the order of
// their last reads. Its fields are guarded by the table's mu.
type Holder struct {
	oldest, newest *held
	count, bytes   int
}

// State says what a table knows of a handle.
type State int

// The states.
const (
	Unread State = iota // never read
	Kept                // holds a snapshot
	Lost                // held one that is gone
)

// NewTable returns a table for handles numbered above horizon.
func NewTable(pool *Pool, horizon uint64) *Table {
	return &Table{
		pool: pool, held: map[uint64]*held{}, dropped: map[uint64]struct{}{}, horizon: horizon,
	}
}

// Get returns the handle's snapshot, with a reference for the caller, or why
// there is none.
func (t *Table) Get(handle uint64) (*Snapshot, State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.held[handle]; ok {
		h.by.unlink(h)
		h.by.link(h)
		return h.snap.Retain(), Kept
	}
	if _, ok := t.dropped[handle]; ok || handle <= t.horizon {
		return nil, Lost
	}
	return nil, Unread
}

// Find returns the snapshot with this ID, with a reference for the caller, if a
// handle holds it; nil otherwise.
func (t *Table) Find(id uint64) *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.held {
		if h.snap.ID == id {
			return h.snap.Retain()
		}
	}
	return nil
}

// Put makes s the handle's snapshot, at the expense of by, in place of an
// earlier one. The table takes a reference of its own.
func (t *Table) Put(handle uint64, by *Holder, s *Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(handle)
	t.addLocked(handle, by, s)
}

// PutFirst is put for a handle that was never read: when another read was
// faster, the handle keeps what that one put, which is returned in place of s.
// The caller's reference moves along.
func (t *Table) PutFirst(handle uint64, by *Holder, s *Snapshot) *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.held[handle]; ok {
		t.pool.Release(s)
		return h.snap.Retain()
	}
	t.addLocked(handle, by, s)
	return s
}

// Release forgets a handle that was closed.
func (t *Table) Release(handle uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(handle)
	delete(t.dropped, handle)
}

// Drop takes all its snapshots from by.
func (t *Table) Drop(by *Holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for by.oldest != nil {
		t.dropOldestLocked(by)
	}
}

// addLocked needs mu, and that the handle holds nothing.
func (t *Table) addLocked(handle uint64, by *Holder, s *Snapshot) {
	delete(t.dropped, handle)
	h := &held{handle: handle, snap: s.Retain(), by: by}
	t.held[handle] = h
	by.link(h)
	for by.oldest != h && (by.count > maxHeldSnapshots || by.bytes > maxHeldBytes) {
		t.dropOldestLocked(by)
	}
}

// removeLocked needs mu.
func (t *Table) removeLocked(handle uint64) {
	h, ok := t.held[handle]
	if !ok {
		return
	}
	delete(t.held, handle)
	h.by.unlink(h)
	t.pool.Release(h.snap)
}

// dropOldestLocked needs mu, and a Holder that holds something.
func (t *Table) dropOldestLocked(by *Holder) {
	handle := by.oldest.handle
	t.removeLocked(handle)
	t.dropped[handle] = struct{}{}
	if len(t.dropped) <= maxDropped {
		return
	}
	// Too many to list: let the horizon stand for them. That takes handles in
	// that were opened earlier and never read; the first read of those is now
	// refused unless it is at offset 0, which is where first reads are.
	for d := range t.dropped {
		t.horizon = max(t.horizon, d)
	}
	clear(t.dropped)
}

// link makes h the newest of the Holder's.
func (b *Holder) link(h *held) {
	h.prev, h.next = b.newest, nil
	if b.newest != nil {
		b.newest.next = h
	} else {
		b.oldest = h
	}
	b.newest = h
	b.count++
	b.bytes += h.snap.size()
}

// unlink takes h out of the Holder's list.
func (b *Holder) unlink(h *held) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		b.oldest = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		b.newest = h.prev
	}
	h.prev, h.next = nil, nil
	b.count--
	b.bytes -= h.snap.size()
}
