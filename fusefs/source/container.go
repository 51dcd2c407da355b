// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime/history"
	"github.com/procfs-shim/procfs-shim/fusefs/load"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// ErrNoTasks says that the host's processes can't be looked at.
var ErrNoTasks = errors.New("the host's processes can't be read")

// A Container is what is known of a container between two texts: what its CPUs
// did and what its load was. Its methods may be called at the same time.
type Container struct {
	host *Host
	cg   *cgroupread.Cgroup
	init locate.Init
	load *load.Container // nil without an engine

	mu        sync.Mutex
	past      *history.Entry
	saveFails atomic.Bool // and was logged
}

// Container is the container in a cgroup, with what is known of its init process;
// id names it. The zero Init is of a container of which nothing is known: it is
// as old as the machine's start and shares the host's clocks, which makes its
// columns of /proc/stat as long as the host's.
//
// The cgroup stays the caller's.
func (h *Host) Container(id string, cg *cgroupread.Cgroup, init locate.Init) *Container {
	c := &Container{host: h, cg: cg, init: init}
	c.past = h.past.Entry(history.Key{ID: id, Start: init.Start, Inode: cg.Inode()})
	if h.load != nil {
		age := max(0, h.boot()-init.Start)
		c.load = h.load.Watch(tasks{cg}, init.PID, h.clock().Add(-age))
	}
	return c
}

// tasks lists a cgroup's.
type tasks struct{ cg *cgroupread.Cgroup }

// Tasks implements load.Tasks.
func (t tasks) Tasks(dst []int, most int) ([]int, bool, error) {
	return t.cg.Reader(nil).Tasks(dst, most)
}

// Close forgets the container. What a later server must remember of it stays, unless
// the container has ended. The cgroup must still be open.
func (c *Container) Close() error {
	if c.load != nil {
		c.load.Forget()
	}
	ended := c.ended()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended {
		return c.past.Remove()
	}
	c.past.Close()
	return nil
}

// ended says whether the container has.
func (c *Container) ended() bool {
	if c.init.PID != 0 {
		now, err := c.host.locator.Init(c.init.PID)
		return errors.Is(err, locate.ErrNotVisible) || err == nil && now.Start != c.init.Start
	}
	_, err := c.cg.CPU()
	return errors.Is(err, cgroupread.ErrGone)
}

// Append appends the text of f that the container is to be shown now to dst and
// returns the longer slice. On an error it is of no use. Errors are those of
// cgroupread, hostread.ErrUnreadable, ErrNoTasks and fs.ErrNotExist, for an entry
// of a directory that the container doesn't have.
func (c *Container) Append(dst []byte, f *File, how How) (text []byte, err error) {
	err = c.at(how, func(m *moment) error {
		text, err = f.source.append(dst, m)
		return err
	})
	return text, err
}

// at gives do this moment of the container, which is over when do returns.
func (c *Container) at(how How, do func(*moment) error) error {
	r := c.host.room()
	m := &r.moment
	defer func() {
		*m = moment{} // which holds on to what it was asked of
		c.host.rooms.Put(r)
	}()
	*m = moment{
		Container: c, How: how, room: r, host: c.host.reader(how), now: c.host.boot(),
	}
	if how.Record != nil {
		how.Record.Init = c.init
		m.cgroup = c.cg.Reader(&how.Record.Cgroup)
	} else {
		m.cgroup = c.cg.Reader(nil)
	}
	return do(m)
}

// columns brings the container's CPU times up to now. The columns are in the
// room.
func (m *moment) columns(usage cputime.Sample) []cputime.Column {
	m.mu.Lock()
	columns, err := m.past.Advance(m.room.columns[:0], usage)
	m.mu.Unlock()
	m.room.columns = columns
	if err != nil && !m.saveFails.Swap(true) {
		m.Container.host.log.Warn("this is logged once per container", "error", err)
	}
	return columns
}

// tasks returns the container's load.
func (m *moment) tasks() (load.Sample, error) {
	if m.load == nil {
		return load.Sample{}, fmt.Errorf("count tasks: %w", ErrNoTasks)
	}
	return m.load.Read()
}

// up is the container's uptime; ok is false when that is the host's.
func (m *moment) up() (up time.Duration, ok bool) {
	switch {
	case m.init.BootOffset != 0:
		// In a time namespace the kernel's own clocks and files say this too.
		return max(0, m.now+m.init.BootOffset), true
	case m.Policy.Uptime == view.WhoseContainer && m.init.PID != 0 && !m.init.HostPID:
		return max(0, m.now-m.init.Start), true
	}
	return 0, false
}
