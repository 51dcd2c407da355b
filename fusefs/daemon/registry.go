// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

const (
	// maxContainers is how many registrations one server takes. Each holds
	// some descriptors of cgroup files.
	maxContainers = 4096

	// JanitorInterval is how often registrations are checked for dead init
	// processes.
	JanitorInterval = 3 * time.Second
)

// tree is the bound tree as the registry uses it.
type tree interface {
	// Add makes the directory of a container and returns its name. It takes
	// the container's Cgroup over unless it fails.
	Add(fusefs.Container) (dir string, err error)
	// Remove takes it away, and closes what was taken over.
	Remove(id string)
	// SetPolicy changes the policy of one that is there.
	SetPolicy(id string, p view.Policy)
	// Errors counts the container's failed reads by cause.
	Errors(id string) map[fusefs.Cause]uint64
	// Explain tells what a text was made from; see fusefs.Bound.
	Explain(id, path string, snapshotID uint64) (fusefs.Explanation, error)
}

// registry knows the containers that are served.
type registry struct {
	log   *slog.Logger
	clock func() time.Time
	procs process.Table
	open  func(cgroupread.Paths) (*cgroupread.Cgroup, error)
	init  func(pid int) (locate.Init, error) // nil: nothing is known of init processes
	tree  tree
	root  string                 // absolute path of the tree's root
	kept  string                 // … of that of the files that the kernel keeps
	has   func(file string) bool // whether the tree has a file of the table
	// shared is the mountpoint of the shared tree, "" if there is none.
	shared string
	max    int

	mu      sync.Mutex
	rules   policy.Rules
	entries map[string]*entry
}

// entry is one registration. Fields that registry.mu doesn't guard are written
// before busy is closed for the first time and never after.
type entry struct {
	reg   Registration // for what is chosen see chosen
	start uint64       // the init process' start time
	owner *session
	pid   *process.Handle // of an owned registration's init process
	dir   string
	at    time.Time

	static string // its directory with the files that the kernel keeps

	// chosen, guarded by registry.mu, is what the rules are asked with.
	chosen struct {
		container policy.Subject
		choices   policy.Choices
	}
	// busy, guarded by registry.mu, is not nil while the entry is being made
	// or removed; it is closed when that is over.
	busy chan struct{}
}

// register makes a container known, or finds that it is already.
func (g *registry) register(from *session, r Registration) (Registered, error) {
	start, err := g.procs.StartTime(r.InitPID)
	if err != nil {
		return Registered{}, fmt.Errorf("register %s: init %w", r.ID, goneOrInternal(err))
	}
	for {
		e, mine, err := g.reserve(from, r, start)
		if err != nil {
			return Registered{}, fmt.Errorf("register %s: %w", r.ID, err)
		}
		if mine {
			err = g.build(e)
			g.settle(e, err != nil)
			if err != nil {
				return Registered{}, fmt.Errorf("register %s: %w", r.ID, err)
			}
			g.log.Info("container registered", "id", r.ID, "init", r.InitPID, "cgroup", r.Cgroup.String(), "owned", r.Owned)
			return g.answer(e), nil
		}
		if e.start == start && sameContainer(e.reg, r) {
			if r.Owned && e.owner != from {
				return Registered{}, fmt.Errorf("register %s: %w", r.ID,
					wire.Errorf(wire.CodeConflict, "it is registered already, by another program"))
			}
			g.choose(e, r)
			return g.answer(e), nil
		}
		if g.lives(e) {
			return Registered{}, fmt.Errorf("register %s: %w", r.ID,
				wire.Errorf(wire.CodeConflict, "the id is taken by the container with init process %d in cgroup %s", e.reg.InitPID, e.reg.Cgroup))
		}
		g.forget(e, "its init process is gone")
	}
}

// sameContainer leaves out what is chosen.
func sameContainer(a, b Registration) bool {
	return a.InitPID == b.InitPID && a.Cgroup.Equal(b.Cgroup)
}

// reserve gives the complete entry of r's id, or, when mine is true, a new one
// that the caller has to build and settle.
func (g *registry) reserve(from *session, r Registration, start uint64) (e *entry, mine bool, err error) {
	for {
		g.mu.Lock()
		e := g.entries[r.ID]
		if e == nil {
			if len(g.entries) >= g.max {
				g.mu.Unlock()
				return nil, false, wire.Errorf(wire.CodeFull, "%d containers are registered, no more are taken", g.max)
			}
			e = &entry{reg: r, start: start, at: g.clock(), busy: make(chan struct{})}
			e.chosen.container, e.chosen.choices = r.Container, r.Choices
			if r.Owned {
				e.owner = from
			}
			g.entries[r.ID] = e
			g.mu.Unlock()
			return e, true, nil
		}
		busy := e.busy
		g.mu.Unlock()
		if busy == nil {
			return e, false, nil
		}
		<-busy
	}
}

// build does what a new entry needs; when it fails nothing is left of it.
func (g *registry) build(e *entry) (err error) {
	if e.owner != nil {
		e.pid, err = g.procs.Open(e.reg.InitPID, e.start)
		if err != nil {
			return fmt.Errorf("init %w", goneOrInternal(err))
		}
	}
	cgroup, err := g.open(e.reg.Cgroup)
	if err != nil {
		e.pid.Close()
		return fmt.Errorf("cgroup %s: %w", e.reg.Cgroup, goneOrInternal(err))
	}
	var init locate.Init
	if g.init != nil {
		if init, err = g.init(e.reg.InitPID); err != nil {
			e.pid.Close()
			return errors.Join(goneOrInternal(err), cgroup.Close())
		}
	}
	dir, err := g.tree.Add(fusefs.Container{ID: e.reg.ID, Cgroup: cgroup, Init: init}) // settle gives it its policy
	if err != nil {
		e.pid.Close()
		return errors.Join(err, cgroup.Close())
	}
	e.dir, e.static = filepath.Join(g.root, dir), filepath.Join(g.kept, dir)
	return nil
}

// settle ends the time in which an entry is busy.
func (g *registry) settle(e *entry, gone bool) {
	g.mu.Lock()
	if gone {
		delete(g.entries, e.reg.ID)
	} else {
		g.tree.SetPolicy(e.reg.ID, g.inForceLocked(e).Policy())
	}
	busy := e.busy
	e.busy = nil
	g.mu.Unlock()
	close(busy)
}

// forget removes an entry, unless somebody else does or has.
func (g *registry) forget(e *entry, why string) {
	g.mu.Lock()
	if g.entries[e.reg.ID] != e || e.busy != nil {
		g.mu.Unlock()
		return
	}
	e.busy = make(chan struct{})
	g.mu.Unlock()
	g.tree.Remove(e.reg.ID)
	e.pid.Close()
	g.settle(e, true)
	g.log.Info("container forgotten", "id", e.reg.ID, "init", e.reg.InitPID, "because", why)
}

// unregister ends a registration. One that isn't there, and one that another
// connection owns, which lives as long as that, are left as they are.
func (g *registry) unregister(from *session, id string) {
	for {
		g.mu.Lock()
		e := g.entries[id]
		var busy chan struct{}
		if e != nil {
			busy = e.busy
		}
		g.mu.Unlock()
		switch {
		case e == nil:
			return
		case busy != nil:
			<-busy
		case e.owner != nil && e.owner != from:
			return
		default:
			g.forget(e, "it was unregistered")
		}
	}
}

// lives reports whether the entry's init process is still there. When that
// can't be read it is taken to live.
func (g *registry) lives(e *entry) bool {
	start, err := g.procs.StartTime(e.reg.InitPID)
	if err != nil {
		return !errors.Is(err, process.ErrGone)
	}
	return start == e.start
}

// snapshot gives the complete entries, sorted by id.
func (g *registry) snapshot() []*entry {
	g.mu.Lock()
	var entries []*entry
	for _, e := range g.entries {
		if e.busy == nil {
			entries = append(entries, e)
		}
	}
	g.mu.Unlock()
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.reg.ID, b.reg.ID) })
	return entries
}

// ownedBy gives the entries that a session made and owns. It is called by the
// session itself, so none of them is in the making.
func (g *registry) ownedBy(s *session) []*entry {
	var owned []*entry
	for _, e := range g.snapshot() {
		if e.owner == s {
			owned = append(owned, e)
		}
	}
	return owned
}

// list gives the containers whose id sorts after after.
func (g *registry) list(after string) []Status {
	var list []Status
	for _, e := range g.snapshot() {
		if e.reg.ID <= after {
			continue
		}
		status := Status{
			ID:           e.reg.ID,
			Cgroup:       e.reg.Cgroup,
			InitPID:      e.reg.InitPID,
			Dir:          e.dir,
			Owned:        e.owner != nil,
			Errors:       g.tree.Errors(e.reg.ID),
			RegisteredAt: e.at,
		}
		g.mu.Lock()
		choices := g.inForceLocked(e)
		status.Container, status.Choices = e.chosen.container, e.chosen.choices
		g.mu.Unlock()
		status.Policy, status.Files = choices.Policy(), g.files(choices)
		list = append(list, status)
	}
	return list
}

// tidy forgets the registrations whose init process is gone.
func (g *registry) tidy() {
	for _, e := range g.snapshot() {
		if !g.lives(e) {
			g.forget(e, "its init process is gone")
		}
	}
}

// janitor tidies until ctx ends.
func (g *registry) janitor(ctx context.Context) {
	ticker := time.NewTicker(JanitorInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.tidy()
		}
	}
}

// goneOrInternal gives err the code that it is answered with.
func goneOrInternal(err error) error {
	if errors.Is(err, process.ErrGone) || errors.Is(err, locate.ErrNotVisible) || errors.Is(err, cgroupread.ErrGone) {
		return wire.Errorf(wire.CodeGone, "%v", err)
	}
	return err
}
