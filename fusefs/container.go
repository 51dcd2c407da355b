// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// lastGoodMaxAge is how old a text may be that is given because a new one
// can't be had.
const lastGoodMaxAge = 30 * time.Second

// A Container is what a bound view is made from.
type Container struct {
	ID     string             // names the container's directory in the bound tree
	Cgroup *cgroupread.Cgroup // Bound closes it
	Policy view.Policy
}

// A container is a Container while a tree has it: what it was last shown, and
// what went wrong.
type container struct {
	Container
	host     *Host
	failures failures
	policy   atomic.Pointer[view.Policy] // the one in force; Container.Policy is that of the beginning
	holds    snapshot.Holder             // guarded by the mu of the table that its handles are in
	refs     atomic.Int64                // see release

	mu   sync.Mutex
	good map[text]*snapshot.Snapshot // the last good ones
}

// text is one of the texts that a container has: of this file, in this form.
type text struct {
	file    *File
	linux32 bool
}

// newContainer returns c with one reference, which the tree holds.
func newContainer(h *Host, c Container) *container {
	k := &container{
		Container: c, host: h, good: map[text]*snapshot.Snapshot{},
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
	if err := c.Cgroup.Close(); err != nil {
		c.failures.log.Warn("the cgroup can't be closed", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.good {
		c.host.pool.Release(s)
	}
	c.good = nil
}

// render makes the text that the container is to be shown now, and remembers
// it. The snapshot's reference is the caller's.
func (c *container) render(t text) (*snapshot.Snapshot, error) {
	s := c.host.pool.Get(c.host.now())
	bytes, err := c.generate(t, s.Text)
	if err != nil {
		c.host.pool.Release(s)
		return nil, err
	}
	s.Text = bytes
	c.keep(t, s)
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

// generate asks the source, and makes an error of its panic: a bug must not
// cost more than the file that has it.
func (c *container) generate(t text, dst []byte) (bytes []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return t.file.source.Append(dst, moment{host: c.host, cgroup: c.Cgroup, policy: *c.policy.Load(), linux32: t.linux32})
}

// keep remembers s as the last good t.
func (c *container) keep(t text, s *snapshot.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == nil {
		return
	}
	old := c.good[t]
	if old != nil && old.At.After(s.At) {
		return
	}
	c.good[t] = s.Retain()
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
	s := c.good[t]
	if s == nil || now.Sub(s.At) > lastGoodMaxAge {
		return nil, false
	}
	return s.Retain(), true
}

// fallBack answers a read for which render failed with err.
func (c *container) fallBack(t text, err error) (*snapshot.Snapshot, error) {
	if s, ok := c.instead(t); ok {
		c.failures.count(err, t.file.Path, "the last good text, for at most "+lastGoodMaxAge.String())
		return s, nil
	}
	c.failures.count(err, t.file.Path, "an error")
	return nil, err
}
