// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// lastGoodMaxAge is how old a text may be that is given because a new one
// can't be had.
const lastGoodMaxAge = 30 * time.Second

const insteadLastGood = "the last good text, for at most 30 s" // for logs

// A Container is what a bound view is made from.
type Container struct {
	ID     string             // names the container's directory in the bound tree
	Cgroup *cgroupread.Cgroup // Bound closes it
	Policy view.Policy
	// Init is what is known of its init process ([locate.Locator.Init]). The zero
	// value stands for one that isn't known: the container is then as old as the
	// machine's start.
	Init locate.Init
}

// A container is a Container while a tree has it: what it was last shown, and
// what went wrong.
type container struct {
	Container
	host     *Host
	source   *source.Container
	failures failures
	policy   atomic.Pointer[view.Policy] // the one in force; Container.Policy is that of the beginning
	holds    snapshot.Holder             // guarded by the mu of the table that its handles are in
	refs     atomic.Int64                // see release

	looks atomic.Uint64 // numbers the looks at static files; see check

	mu       sync.Mutex
	good     map[textKey]*snapshot.Snapshot // the last good ones
	versions []version                      // of static files that the kernel keeps
}

// text is one of the texts that a container has: of this file, in this form.
type text struct {
	file    *File
	linux32 bool
}

// textKey names a text: files of the host's directories are made anew for each
// request.
type textKey struct {
	number  uint32
	linux32 bool
}

func (t text) key() textKey { return textKey{t.file.Number, t.linux32} }

// newContainer returns c with one reference, which the tree holds.
func newContainer(h *Host, c Container) *container {
	k := &container{
		Container: c, host: h, good: map[textKey]*snapshot.Snapshot{},
		source:   h.sources.Container(c.ID, c.Cgroup, c.Init),
		failures: failures{log: h.log.With("container", c.ID, "cgroup", c.Cgroup.Paths().String())},
	}
	k.policy.Store(&c.Policy)
	k.refs.Store(1)
	return k
}

// release gives a reference back. When the tree has let go and no read uses
// the container any more, its cgroup is closed.
func (c *container) release() {
	if c.refs.Add(-1) > 0 {
		return
	}
	if err := c.source.Close(); err != nil {
		c.failures.log.Warn("what was remembered of the container can't be removed", "error", err)
	}
	if err := c.Cgroup.Close(); err != nil {
		c.failures.log.Warn("the cgroup can't be closed", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.good {
		c.host.pool.Release(s)
	}
	for i := range c.versions {
		if s := c.versions[i].text; s != nil {
			c.host.pool.Release(s)
		}
	}
	c.good, c.versions = nil, nil
}

// render makes the text that the container is to be shown now, and remembers
// it. The snapshot's reference is the caller's.
func (c *container) render(t text) (*snapshot.Snapshot, error) {
	s, err := c.host.generate(t, *c.policy.Load(), c.source.Append)
	if err != nil {
		return nil, err
	}
	if !t.file.Passed() {
		c.keep(t, s)
	}
	return s, nil
}

// view returns what is to be shown: a new text or, if there is none to be had,
// one of before. The snapshot's reference is the caller's.
func (c *container) view(t text) (*snapshot.Snapshot, error) {
	s, err := c.render(t)
	if err != nil {
		return c.fallBack(t, err)
	}
	return s, nil
}

// generate makes a snapshot of what appends gives, and an error of its panic: a bug
// must not cost more than the file that has it.
func (h *Host) generate(
	t text, p view.Policy, appends func(dst []byte, f *File, how source.How) ([]byte, error),
) (s *snapshot.Snapshot, err error) {
	s = h.pool.Get(h.now())
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
		if err != nil {
			h.pool.Release(s)
			s = nil
		}
	}()
	how := source.How{Policy: p, Linux32: t.linux32, Record: recordOf(s)}
	how.Record.Path, how.Record.Policy = t.file.Path, p
	bytes, err := appends(s.Text, t.file, how)
	if err == nil {
		s.Text = bytes
	}
	return s, err
}

// recordOf returns what a snapshot was made from.
func recordOf(s *snapshot.Snapshot) *source.Record {
	r, _ := s.Record.(*source.Record) // the pool's are all of this type
	return r
}

// keep remembers s as the last good t.
func (c *container) keep(t text, s *snapshot.Snapshot) {
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
		c.host.pool.Release(old)
	}
}

// instead returns what is given in place of a text that can't be had: the last
// good one, unless it is too old. The snapshot's reference is the caller's.
func (c *container) instead(t text) (*snapshot.Snapshot, bool) {
	now := c.host.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.good[t.key()]
	if s == nil || now.Sub(s.At) > lastGoodMaxAge {
		return nil, false
	}
	return s.Retain(), true
}

// fallBack answers a read for which render failed with err.
func (c *container) fallBack(t text, err error) (*snapshot.Snapshot, error) {
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostread.ErrUnreadable) {
		return nil, nodes.ErrNone // the container lost the node that the file is of
	}
	if s, ok := c.instead(t); ok {
		c.failures.count(err, t.file.Path, insteadLastGood)
		return s, nil
	}
	return c.host.instead(t, *c.policy.Load(), &c.failures, err)
}

// instead is what a reader gets whom nothing can be told: by policy the host's own
// text or the error. It is counted.
func (h *Host) instead(t text, p view.Policy, failures *failures, err error) (*snapshot.Snapshot, error) {
	if p.OnError == view.OnErrorHost {
		if s, failed := h.generate(t, p, h.sources.AppendHost); failed == nil {
			recordOf(s).Hosts = true
			failures.count(err, t.file.Path, "the host's own text")
			return s, nil
		}
	}
	failures.count(err, t.file.Path, "an error")
	return nil, err
}

// shows implements Tree for one container. When it can't be said what the container
// has, names are shown, and whoever reads a file is told why, or what it said last.
func (c *container) shows(d *source.Directory, do func(shown func(*nodes.Node) bool) error) error {
	shown, err := d.Shows(c.source)
	if err != nil {
		return do(all)
	}
	return do(func(n *nodes.Node) bool { return shown(n.Entry) })
}
