// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// ErrExists says that a container with this ID is in the tree already.
var ErrExists = errors.New("the container is registered already")

// ErrInvalidID says that an ID can't be the name of a directory.
var ErrInvalidID = errors.New("not a directory name of at most 255 bytes")

// Bound is the tree of registered containers: a directory for each, with its
// view below. It is safe for concurrent use.
type Bound struct {
	host  *Host
	views *nodes.View

	mu     sync.RWMutex
	byID   map[string]*bound
	bySlot []*bound // ascending
	next   uint64   // the next slot; slots are never given again
}

// A bound is a container of the tree.
type bound struct {
	*texts.Texts
	slot    uint64
	handles *snapshot.Table
}

// NewBound returns an empty tree of bound views.
func NewBound(h *Host) *Bound {
	return &Bound{host: h, views: nodes.New(h.present, h.sources.Directories()), byID: map[string]*bound{}, next: 1}
}

// Add gives c a view and returns the name of the directory in the top of the
// tree that holds it; below it files are where [Files] says. The tree takes
// c.Cgroup over and closes it when c is removed; when Add fails, it stays the
// caller's. The error is ErrExists or ErrInvalidID.
func (b *Bound) Add(c Container) (dir string, err error) {
	if !validName(c.ID) {
		return "", fmt.Errorf("add container: %q: %w", c.ID, ErrInvalidID)
	}
	added := &bound{Texts: texts.New(b.host.texts, c), handles: snapshot.NewTable(b.host.pool, b.host.horizon)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.byID[c.ID]; ok {
		return "", fmt.Errorf("add container: %s: %w", c.ID, ErrExists)
	}
	added.slot = b.next
	b.next++
	b.byID[c.ID] = added
	b.bySlot = append(b.bySlot, added)
	return c.ID, nil
}

// Remove takes the container with this ID out of the tree; what was bound from
// its directory fails from now on. It does nothing if there is none.
func (b *Bound) Remove(id string) {
	b.mu.Lock()
	c, ok := b.byID[id]
	if ok {
		delete(b.byID, id)
		i, _ := slices.BinarySearchFunc(b.bySlot, c.slot, compareSlot)
		b.bySlot = slices.Delete(b.bySlot, i, i+1)
	}
	b.mu.Unlock()
	if ok {
		c.handles.Drop(&c.Holds)
		c.Release()
	}
}

// SetPolicy changes how the container with this ID is shown, from the next
// rendering on. It does nothing if there is none.
func (b *Bound) SetPolicy(id string, p view.Policy) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c, ok := b.byID[id]; ok {
		c.SetPolicy(p)
	}
}

// Errors returns how many reads of the container's files could not be told as
// they should, by cause; nil if there is no such container, or nothing failed.
func (b *Bound) Errors(id string) map[Cause]uint64 {
	b.mu.RLock()
	c, ok := b.byID[id]
	b.mu.RUnlock()
	if !ok {
		return nil
	}
	return c.Failures()
}

func compareSlot(c *bound, slot uint64) int {
	switch {
	case c.slot < slot:
		return -1
	case c.slot > slot:
		return 1
	}
	return 0
}

// acquire returns the container in slot with a reference.
func (b *Bound) acquire(slot uint64) (*bound, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, ok := slices.BinarySearchFunc(b.bySlot, slot, compareSlot)
	if !ok {
		return nil, false
	}
	b.bySlot[i].Retain()
	return b.bySlot[i], true
}

// layout implements Tree.
func (b *Bound) layout() (*Host, *nodes.View) { return b.host, b.views }

// has implements Tree.
func (b *Bound) has(slot uint64) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := slices.BinarySearchFunc(b.bySlot, slot, compareSlot)
	return ok
}

// slotNamed implements Tree.
func (b *Bound) slotNamed(name string) (uint64, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c, ok := b.byID[name]
	if !ok {
		return 0, false
	}
	return c.slot, true
}

// slotAfter implements Tree.
func (b *Bound) slotAfter(slot uint64) (next uint64, name string, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(b.bySlot, slot+1, compareSlot)
	if i == len(b.bySlot) {
		return 0, "", false
	}
	return b.bySlot[i].slot, b.bySlot[i].ID, true
}

// read implements Tree.
func (b *Bound) read(r readRequest) (*snapshot.Snapshot, error) {
	c, ok := b.acquire(r.slot)
	if !ok {
		return nil, failure.ErrStale
	}
	defer c.Release()
	return r.from(c.handles, func() (*snapshot.Snapshot, *snapshot.Holder, error) {
		s, err := c.Show(texts.Text{File: r.file})
		return s, &c.Holds, err
	})
}

// measure implements Tree.
func (b *Bound) measure(slot uint64, f *File, _ uint32) (int, error) {
	c, ok := b.acquire(slot)
	if !ok {
		return 0, failure.ErrStale
	}
	defer c.Release()
	s, err := c.Show(texts.Text{File: f})
	if err != nil {
		return 0, err
	}
	defer b.host.pool.Release(s)
	return len(s.Text), nil
}

// released implements Tree.
func (b *Bound) released(slot, handle uint64) {
	if c, ok := b.acquire(slot); ok {
		c.handles.Release(handle)
		c.Release()
	}
}

// shows implements Tree.
func (b *Bound) shows(slot uint64, _ uint32, d *source.Directory, do func(shown func(*nodes.Node) bool) error) error {
	if !d.Own {
		return do(all)
	}
	c, ok := b.acquire(slot)
	if !ok {
		return failure.ErrStale
	}
	defer c.Release()
	return showsOf(c.Texts, d, do)
}

// snapshotOf implements Tree.
func (b *Bound) snapshotOf(slot, handle uint64) (id uint64, ok bool) {
	c, ok := b.acquire(slot)
	if !ok {
		return 0, false
	}
	defer c.Release()
	return held(b.host.pool, c.handles, handle)
}

// validName says whether a container's ID can be the name of a directory.
func validName(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 255 && !strings.ContainsAny(id, "/\x00")
}
