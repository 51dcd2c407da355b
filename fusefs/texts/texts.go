// SPDX-License-Identifier: Apache-2.0

package texts

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// LastGoodMaxAge is how old a text may be that is given because a new one
// can't be had.
const LastGoodMaxAge = 30 * time.Second

const insteadLastGood = "the last good text, for at most 30 s" // for logs

// A Host is what the texts of all containers are made with.
type Host struct {
	Sources *source.Host
	Pool    *snapshot.Pool // with Records that are *source.Record
	Now     func() time.Time
	Log     *slog.Logger
}

// A Container is what texts are made from.
type Container struct {
	ID     string             // names the container's directory in the bound tree
	Cgroup *cgroupread.Cgroup // closed with the texts
	Policy view.Policy
	// Init is what is known of its init process ([locate.Locator.Init]). The zero
	// value stands for one that isn't known: the container is then as old as the
	// machine's start.
	Init locate.Init
}

// Texts are those of a Container while a tree has it: what it was last shown, and
// what went wrong. They are safe for concurrent use.
type Texts struct {
	Container

	// Holds counts what its readers hold. It is guarded by the mu of the table that
	// their handles are in.
	Holds snapshot.Holder

	host     *Host
	source   *source.Container
	failures failure.Counts
	policy   atomic.Pointer[view.Policy] // the one in force; Container.Policy is that of the beginning
	refs     atomic.Int64                // see release

	looks atomic.Uint64 // numbers the looks at static files; see check

	mu       sync.Mutex
	good     map[textKey]*snapshot.Snapshot // the last good ones
	versions []version                      // of static files that the kernel keeps
}

// A Text is one of those that a container has: of this file, in this form.
type Text struct {
	File    *source.File
	Linux32 bool // the 32-bit form; see source.How
}

// textKey names a text: files of the host's directories are made anew for each
// request.
type textKey struct {
	number  uint32
	linux32 bool
}

func (t Text) key() textKey { return textKey{t.File.Number, t.Linux32} }

// New returns the texts of c, with one reference. The cgroup is theirs from now on.
func New(h *Host, c Container) *Texts {
	k := &Texts{
		Container: c, host: h, good: map[textKey]*snapshot.Snapshot{},
		source:   h.Sources.Container(c.ID, c.Cgroup, c.Init),
		failures: failure.Counts{Log: h.Log.With("container", c.ID, "cgroup", c.Cgroup.Paths().String())},
	}
	k.policy.Store(&c.Policy)
	k.refs.Store(1)
	return k
}

// Retain adds a reference. The caller must hold one, or the lock under which
// somebody does.
func (c *Texts) Retain() { c.refs.Add(1) }

// SetPolicy changes how the container is shown, from the next rendering on.
func (c *Texts) SetPolicy(p view.Policy) { c.policy.Store(&p) }

// Source is what the texts are made by.
func (c *Texts) Source() *source.Container { return c.source }

// Failures returns how many reads could not be told as they should, by cause.
func (c *Texts) Failures() map[failure.Cause]uint64 { return c.failures.All() }

// Release gives a reference back. When the tree has let go and no read uses
// the container any more, its cgroup is closed.
func (c *Texts) Release() {
	if c.refs.Add(-1) > 0 {
		return
	}
	if err := c.source.Close(); err != nil {
		c.failures.Log.Warn("what was remembered of the container can't be removed", "error", err)
	}
	if err := c.Cgroup.Close(); err != nil {
		c.failures.Log.Warn("the cgroup can't be closed", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.good {
		c.host.Pool.Release(s)
	}
	for i := range c.versions {
		if s := c.versions[i].text; s != nil {
			c.host.Pool.Release(s)
		}
	}
	c.good, c.versions = nil, nil
}

// Render makes the text that the container is to be shown now, and remembers
// it. The snapshot's reference is the caller's.
func (c *Texts) Render(t Text) (*snapshot.Snapshot, error) {
	s, err := c.host.Generate(t, *c.policy.Load(), c.source.Append)
	if err != nil {
		return nil, err
	}
	if !t.File.Passed() {
		c.keep(t, s)
	}
	return s, nil
}

// Show returns what is to be shown: a new text or, if there is none to be had,
// one of before. The snapshot's reference is the caller's.
func (c *Texts) Show(t Text) (*snapshot.Snapshot, error) {
	s, err := c.Render(t)
	if err != nil {
		return c.FallBack(t, err)
	}
	return s, nil
}

// Generate makes a snapshot of what appends gives, and an error of its panic: a bug
// must not cost more than the file that has it.
func (h *Host) Generate(
	t Text, p view.Policy, appends func(dst []byte, f *source.File, how source.How) ([]byte, error),
) (s *snapshot.Snapshot, err error) {
	s = h.Pool.Get(h.Now())
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", failure.ErrPanic, p, debug.Stack())
		}
		if err != nil {
			h.Pool.Release(s)
			s = nil
		}
	}()
	how := source.How{Policy: p, Linux32: t.Linux32, Record: RecordOf(s)}
	how.Record.Path, how.Record.Policy = t.File.Path, p
	bytes, err := appends(s.Text, t.File, how)
	if err == nil {
		s.Text = bytes
	}
	return s, err
}

// RecordOf returns what a snapshot was made from.
func RecordOf(s *snapshot.Snapshot) *source.Record {
	r, _ := s.Record.(*source.Record) // the pool's are all of this type
	return r
}

// keep remembers s as the last good t.
func (c *Texts) keep(t Text, s *snapshot.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == nil {
		return
	}
	old := c.good[t.key()]
	if old != nil && old.At.After(s.At) {
		return
	}
	c.good[t.key()] = s.Retain()
	if old != nil {
		c.host.Pool.Release(old)
	}
}

// instead returns what is given in place of a text that can't be had: the last
// good one, unless it is too old. The snapshot's reference is the caller's.
func (c *Texts) instead(t Text) (*snapshot.Snapshot, bool) {
	now := c.host.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.good[t.key()]
	if s == nil || now.Sub(s.At) > LastGoodMaxAge {
		return nil, false
	}
	return s.Retain(), true
}

// FallBack answers a read for which Render failed with err.
func (c *Texts) FallBack(t Text, err error) (*snapshot.Snapshot, error) {
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostread.ErrUnreadable) {
		return nil, nodes.ErrNone // the container lost the node that the file is of
	}
	if s, ok := c.instead(t); ok {
		c.failures.Count(err, t.File.Path, insteadLastGood)
		return s, nil
	}
	return c.host.Instead(t, *c.policy.Load(), &c.failures, err)
}

// Instead is what a reader gets whom nothing can be told: by policy the host's own
// text or the error. It is counted.
func (h *Host) Instead(t Text, p view.Policy, failures *failure.Counts, err error) (*snapshot.Snapshot, error) {
	if p.OnError == view.OnErrorHost {
		if s, failed := h.Generate(t, p, h.Sources.AppendHost); failed == nil {
			RecordOf(s).Hosts = true
			failures.Count(err, t.File.Path, "the host's own text")
			return s, nil
		}
	}
	failures.Count(err, t.File.Path, "an error")
	return nil, err
}
