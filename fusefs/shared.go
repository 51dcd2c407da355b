// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// maxSharedContainers bounds how many containers' cgroups and last good texts
// are kept open and ready; past it, those read least recently make room and
// are opened again when somebody reads.
const maxSharedContainers = 1024

// cpuinfo is the file of which there is a 32-bit form.
const cpuinfo = "proc/cpuinfo"

// Shared is the tree with one view, LXCFS's layout, in which each reader sees
// its own container. It is safe for concurrent use.
type Shared struct {
	host     *Host
	views    *nodes.View
	locator  *locate.Locator
	handles  *snapshot.Table
	failures failure.Counts  // of readers that could not be located
	nobodys  snapshot.Holder // of texts that are no container's; guarded by the mu of handles
	asHost   atomic.Bool     // see ShowHost

	mu      sync.Mutex
	policy  view.Policy
	byPlace map[placeKey][]*shared
	reads   uint64 // counts up
	entries int
}

// A shared is a container that was read.
type shared struct {
	*texts.Texts
	place    locate.Place
	lastRead uint64 // Shared.reads then
}

// A placeKey is the same for equal places, and for few that are not: for those that
// differ in hierarchies other than memory's alone.
type placeKey struct {
	memory string // path
	init   int
}

func keyOf(p locate.Place) placeKey {
	memory, _ := p.Cgroup.Path("memory")
	return placeKey{memory, p.Init}
}

// NewShared returns a tree whose readers are located by l and shown their
// containers by the default policy until SetPolicy.
func NewShared(h *Host, l *locate.Locator) *Shared {
	return &Shared{
		host: h, views: nodes.New(h.present, h.sources.Directories()), locator: l, handles: snapshot.NewTable(h.pool, h.horizon),
		failures: failure.Counts{Log: h.log.With("tree", "shared")}, byPlace: map[placeKey][]*shared{},
	}
}

// SetPolicy changes how all containers are shown, from the next rendering on.
func (s *Shared) SetPolicy(p view.Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
	for _, all := range s.byPlace {
		for _, c := range all {
			c.SetPolicy(p)
		}
	}
}

// ShowHost shows every reader the host itself, as to a reader in the root
// cgroup, or each its own container again, from the next rendering on.
func (s *Shared) ShowHost(on bool) { s.asHost.Store(on) }

// Errors returns how many readers could not be located, by cause.
func (s *Shared) Errors() map[Cause]uint64 { return s.failures.All() }

// layout implements Tree.
func (s *Shared) layout() (*Host, *nodes.View) { return s.host, s.views }

// has implements Tree.
func (s *Shared) has(slot uint64) bool { return slot == 0 }

// slotNamed implements Tree.
func (s *Shared) slotNamed(string) (uint64, bool) { return 0, false }

// slotAfter implements Tree.
func (s *Shared) slotAfter(uint64) (next uint64, name string, ok bool) { return 0, "", false }

// released implements Tree.
func (s *Shared) released(_, handle uint64) { s.handles.Release(handle) }

// read implements Tree.
func (s *Shared) read(r readRequest) (*snapshot.Snapshot, error) {
	return r.from(s.handles, func() (*snapshot.Snapshot, *snapshot.Holder, error) {
		snap, c, err := s.show(r.file, r.reader)
		if c == nil {
			return snap, &s.nobodys, err
		}
		return snap, &c.Holds, err
	})
}

// measure implements Tree.
func (s *Shared) measure(_ uint64, f *File, reader uint32) (int, error) {
	snap, _, err := s.show(f, reader)
	if err != nil {
		return 0, err
	}
	defer s.host.pool.Release(snap)
	return len(snap.Text), nil
}

// show makes the text that this reader is to see, and says of which container;
// without one there was none to be opened.
func (s *Shared) show(f *File, reader uint32) (*snapshot.Snapshot, *texts.Texts, error) {
	t := texts.Text{File: f, Linux32: f.Path == cpuinfo && s.linux32(reader)}
	place, err := s.locator.Locate(reader)
	if f.Passed() || s.asHost.Load() {
		return s.showHost(t, place, err)
	}
	if err == nil {
		var snap *snapshot.Snapshot
		var c *texts.Texts
		if snap, c, err = s.render(t, place); c != nil {
			return snap, c, err
		}
	}
	snap, err := s.host.texts.Instead(t, s.policyNow(), &s.failures, err)
	return snap, nil, err
}

// showHost makes the host's own text, which counts for the reader's container all
// the same: no reader's snapshots may crowd out another's.
func (s *Shared) showHost(t texts.Text, place locate.Place, unlocated error) (*snapshot.Snapshot, *texts.Texts, error) {
	snap, err := s.host.texts.Generate(t, view.Policy{}, s.host.sources.AppendHost)
	if err != nil {
		s.failures.Count(err, t.File.Path, "an error")
		return nil, nil, err
	}
	if unlocated != nil {
		return snap, nil, nil
	}
	c, err := s.acquire(place)
	if err != nil {
		return snap, nil, nil
	}
	defer c.Release()
	return snap, c.Texts, nil
}

// policyNow is the policy in force.
func (s *Shared) policyNow() view.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy
}

// linux32 says whether the reader sees 32-bit forms; if that can't be told, it
// sees the native ones.
func (s *Shared) linux32(reader uint32) bool {
	if !hostread.HasLinux32() {
		return false
	}
	is, err := s.locator.Linux32(reader)
	return err == nil && is
}

// render makes the text that readers in this place see. Without a container
// there was none to be opened.
func (s *Shared) render(t texts.Text, place locate.Place) (*snapshot.Snapshot, *texts.Texts, error) {
	c, err := s.acquire(place)
	if err != nil {
		return nil, nil, err
	}
	defer func() { c.Release() }()
	snap, err := c.Render(t)
	if errors.Is(err, cgroupread.ErrGone) {
		// The reader is in a cgroup of this name, so what is gone is an earlier
		// one: open the one that is there now.
		s.forget(c)
		if again, err := s.acquire(place); err == nil {
			c.Release()
			c = again
			snap, err = c.Render(t)
			if err == nil {
				return snap, c.Texts, nil
			}
		}
	}
	if err != nil {
		snap, err = c.FallBack(t, err)
	}
	return snap, c.Texts, err
}

// acquire returns the container in a place with a reference, opening its cgroup
// if it is not among those kept. A container is a cgroup and an init process: one
// that was started in the cgroup of another that has ended has CPU times of its
// own.
func (s *Shared) acquire(place locate.Place) (*shared, error) {
	s.mu.Lock()
	c := s.findLocked(place)
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	var init locate.Init
	if place.Init != 0 {
		var err error
		init, err = s.locator.Init(place.Init)
		if err != nil && !errors.Is(err, locate.ErrNotVisible) { // it has ended, its readers will
			return nil, err
		}
	}
	cg, err := s.host.layout.Open(place.Cgroup)
	if err != nil {
		return nil, err
	}
	opened := &shared{
		Texts: texts.New(s.host.texts, Container{ID: fmt.Sprintf("%s init %d", place.Cgroup, place.Init), Cgroup: cg, Init: init}),
		place: place,
	}
	s.mu.Lock()
	c = s.findLocked(place)
	var out *shared
	if c == nil {
		p := s.policy
		opened.SetPolicy(p)
		key := keyOf(place)
		s.byPlace[key] = append(s.byPlace[key], opened)
		s.entries++
		c = s.findLocked(place)
		out = s.crowdedLocked()
	}
	s.mu.Unlock()
	switch {
	case c != opened:
		_ = cg.Close() // another read was faster; nothing was done with ours
	case out != nil:
		s.drop(out)
	}
	return c, nil
}

// findLocked needs mu. It returns the container with a reference, or nil.
func (s *Shared) findLocked(place locate.Place) *shared {
	for _, c := range s.byPlace[keyOf(place)] {
		if c.place.Cgroup.Equal(place.Cgroup) {
			s.reads++
			c.lastRead = s.reads
			c.Retain()
			return c
		}
	}
	return nil
}

// crowdedLocked needs mu. When there are more containers than are kept, it
// takes the one read least recently out and returns it.
func (s *Shared) crowdedLocked() *shared {
	if s.entries <= maxSharedContainers {
		return nil
	}
	var oldest *shared
	for _, all := range s.byPlace {
		for _, c := range all {
			if oldest == nil || c.lastRead < oldest.lastRead {
				oldest = c
			}
		}
	}
	s.takeLocked(oldest)
	return oldest
}

// takeLocked needs mu. It takes c out and says whether it was there.
func (s *Shared) takeLocked(c *shared) bool {
	key := keyOf(c.place)
	all := s.byPlace[key]
	i := slices.Index(all, c)
	if i < 0 {
		return false
	}
	s.entries--
	if len(all) == 1 {
		delete(s.byPlace, key)
		return true
	}
	s.byPlace[key] = slices.Delete(all, i, i+1)
	return true
}

// forget takes c out of those kept.
func (s *Shared) forget(c *shared) {
	s.mu.Lock()
	there := s.takeLocked(c)
	s.mu.Unlock()
	if there {
		s.drop(c)
	}
}

// drop gives up a container that was taken out.
func (s *Shared) drop(c *shared) {
	s.handles.Drop(&c.Holds)
	c.Release()
}

// shows implements Tree.
func (s *Shared) shows(_ uint64, reader uint32, d *source.Directory, do func(shown func(*nodes.Node) bool) error) error {
	if !d.Own || s.asHost.Load() {
		return do(all)
	}
	place, err := s.locator.Locate(reader)
	var c *shared
	if err == nil {
		c, err = s.acquire(place)
	}
	if err != nil {
		return do(all) // as container.shows
	}
	defer c.Release()
	return showsOf(c.Texts, d, do)
}

// snapshotOf implements Tree.
func (s *Shared) snapshotOf(_, handle uint64) (id uint64, ok bool) {
	return held(s.host.pool, s.handles, handle)
}
