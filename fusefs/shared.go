// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// maxSharedContainers bounds how many containers' cgroups and last good texts
// are kept open and ready; past it, those read least recently make room and
// are opened again when somebody reads.
const maxSharedContainers = 1024

// Shared is the tree with one view, LXCFS's layout, in which each reader sees
// its own container. It is safe for concurrent use.
type Shared struct {
	host     *Host
	views    nodes
	locator  *locate.Locator
	handles  *snapshot.Table
	failures failures    // of readers that could not be located
	asHost   atomic.Bool // see ShowHost

	mu      sync.Mutex
	policy  view.Policy
	byName  map[string][]*shared // by Paths.String, which two cgroups may share
	reads   uint64               // counts up
	entries int
}

// A shared is a container that was read.
type shared struct {
	*container
	name     string
	paths    cgroupread.Paths
	lastRead uint64 // Shared.reads then
}

// NewShared returns a tree whose readers are located by l and shown their
// containers by the default policy until SetPolicy.
func NewShared(h *Host, l *locate.Locator) *Shared {
	return &Shared{
		host: h, views: newNodes(h.present), locator: l, handles: snapshot.NewTable(h.pool, h.horizon),
		failures: failures{log: h.log.With("tree", "shared")}, byName: map[string][]*shared{},
	}
}

// SetPolicy changes how all containers are shown, from the next rendering on.
func (s *Shared) SetPolicy(p view.Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
	for _, all := range s.byName {
		for _, c := range all {
			c.policy.Store(&p)
		}
	}
}

// ShowHost shows every reader the host itself, as to a reader in the root
// cgroup, or each its own container again, from the next rendering on.
func (s *Shared) ShowHost(on bool) { s.asHost.Store(on) }

// whose is the cgroup whose view this reader is to see.
func (s *Shared) whose(reader uint32) (cgroupread.Paths, error) {
	if s.asHost.Load() {
		return s.host.layout.OfDir("/")
	}
	return s.locator.Locate(reader)
}

// Errors returns how many readers could not be located, by cause.
func (s *Shared) Errors() map[Cause]uint64 { return s.failures.all() }

// layout implements Tree.
func (s *Shared) layout() (*Host, nodes) { return s.host, s.views }

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
	return r.from(s.handles, func() (*snapshot.Snapshot, *container, error) { return s.show(r.file, r.reader) })
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

// show makes the text that this reader is to see, and says of which container.
func (s *Shared) show(f *File, reader uint32) (*snapshot.Snapshot, *container, error) {
	paths, err := s.whose(reader)
	if err != nil {
		s.failures.count(err, f.Path, "an error")
		return nil, nil, err
	}
	snap, c, err := s.render(text{file: f, linux32: s.linux32(reader)}, paths)
	if c == nil && err != nil {
		s.failures.count(err, f.Path, "an error")
	}
	return snap, c, err
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

// render makes the text that readers in this cgroup see. Without a container
// there was none to be opened.
func (s *Shared) render(t text, paths cgroupread.Paths) (*snapshot.Snapshot, *container, error) {
	c, err := s.acquire(paths)
	if err != nil {
		return nil, nil, err
	}
	defer func() { c.release() }()
	snap, err := c.render(t)
	if errors.Is(err, cgroupread.ErrGone) {
		// The reader is in a cgroup of this name, so what is gone is an earlier
		// one: open the one that is there now.
		s.forget(c)
		if again, err := s.acquire(paths); err == nil {
			c.release()
			c = again
			snap, err = c.render(t)
			if err == nil {
				return snap, c.container, nil
			}
		}
	}
	if err != nil {
		snap, err = c.fallBack(t, err)
	}
	return snap, c.container, err
}

// acquire returns the container at paths with a reference, opening its cgroup
// if it is not among those kept.
func (s *Shared) acquire(paths cgroupread.Paths) (*shared, error) {
	name := paths.String()
	s.mu.Lock()
	c := s.findLocked(name, paths)
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	cg, err := s.host.layout.Open(paths)
	if err != nil {
		return nil, err
	}
	opened := &shared{
		container: newContainer(s.host, Container{ID: name, Cgroup: cg}),
		name:      name, paths: paths,
	}
	s.mu.Lock()
	c = s.findLocked(name, paths)
	var out *shared
	if c == nil {
		p := s.policy
		opened.policy.Store(&p)
		s.byName[name] = append(s.byName[name], opened)
		s.entries++
		c = s.findLocked(name, paths)
		out = s.crowdedLocked()
	}
	s.mu.Unlock()
	switch {
	case c != opened:
		opened.release() // another read was faster
	case out != nil:
		s.drop(out)
	}
	return c, nil
}

// findLocked needs mu. It returns the container with a reference, or nil.
func (s *Shared) findLocked(name string, paths cgroupread.Paths) *shared {
	for _, c := range s.byName[name] {
		if c.paths.Equal(paths) {
			s.reads++
			c.lastRead = s.reads
			c.refs.Add(1)
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
	for _, all := range s.byName {
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
	all := s.byName[c.name]
	i := slices.Index(all, c)
	if i < 0 {
		return false
	}
	s.entries--
	if len(all) == 1 {
		delete(s.byName, c.name)
		return true
	}
	s.byName[c.name] = slices.Delete(all, i, i+1)
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
	s.handles.Drop(&c.holds)
	c.release()
}
