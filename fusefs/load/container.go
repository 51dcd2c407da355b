// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// A Sample is a container's load at one moment.
type Sample struct {
	// Loadavg is the container's. LastPID is its largest PID, as its own PID
	// namespace numbers it; 0 if none was seen there.
	Loadavg procfile.Loadavg
	// Blocked are the tasks in state D.
	Blocked int
	// Seen are how many of the tasks were looked at. Where it is less than
	// Loadavg.Total, the counts are estimates: see the package comment.
	Seen int
	// At is when the pass began; the zero time if there never was one.
	At time.Time
}

// A Container is one that an Engine knows. It takes some 200 bytes, and no time
// unless it is read.
type Container struct {
	engine  *Engine
	tasks   Tasks
	init    int
	started time.Time

	mu        sync.Mutex
	sampled   bool // in engine.sampled, whose lock comes first
	forgotten bool
	lastRead  time.Time
	last      Sample
	load      averages
	upTo      time.Time // what the averages contain: up to a step before or after last.At
	depth     int       // of the container's PID namespace; 0 until init was looked at
	next      int       // where the next pass begins
	pending   *pending  // the pass under way, or nil
}

// A pending pass is under way; its results are there once done is closed.
type pending struct {
	done   chan struct{}
	sample Sample
	err    error
}

// Watch adds a container: its tasks, the PID of its init, and when that was
// started, by the engine's clock. The zero time is long ago.
func (e *Engine) Watch(tasks Tasks, init int, started time.Time) *Container {
	return &Container{engine: e, tasks: tasks, init: init, started: started, upTo: started}
}

// Read returns the container's last sample, or makes one if that is older than
// 5.5 s. The container is sampled for the next 5 minutes. The error is that of
// Tasks, or names the file of /proc that can't be read or understood, or is
// ErrClosed; the next Read tries again.
func (c *Container) Read() (Sample, error) {
	now := c.engine.now()
	c.mu.Lock()
	c.lastRead = now
	last, sampled, forgotten := c.last, c.sampled, c.forgotten
	c.mu.Unlock()
	if !last.At.IsZero() && now.Sub(last.At) <= fresh {
		if !sampled && !forgotten {
			c.engine.sample(c)
		}
		return last, nil
	}
	s, err := c.pass(listedForReader, passTime)
	if err == nil {
		c.engine.sample(c)
	}
	return s, err
}

// Forget ends the sampling. A pass under way ends by itself; a later Read makes
// a pass of its own if it must.
func (c *Container) Forget() {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.engine.leaveLocked(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten = true
}

// read says whether somebody read lately.
func (c *Container) read(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.lastRead) <= interest
}

// due says whether a step of the averages is due.
func (c *Container) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return periods(now.Sub(c.upTo)) > 0
}

// pass makes a pass, or waits for one that is under way, and returns its sample.
func (c *Container) pass(most int, budget time.Duration) (Sample, error) {
	c.mu.Lock()
	p := c.pending
	if p != nil {
		c.mu.Unlock()
		<-p.done
		return p.sample, p.err
	}
	p = &pending{done: make(chan struct{})}
	c.pending = p
	depth, start := c.depth, c.next
	c.mu.Unlock()

	at := c.engine.now()
	found, depth, err := c.look(most, budget, depth, start)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = nil
	c.depth = depth
	if err == nil {
		c.take(found, at)
		p.sample = c.last
	}
	p.err = err
	close(p.done)
	return p.sample, p.err
}

// look makes the pass itself, without a lock.
func (c *Container) look(most int, budget time.Duration, depth, start int) (found counts, _ int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("count tasks: panic: %v\n%s", p, debug.Stack())
		}
	}()
	e := c.engine
	if !e.begin() {
		return found, depth, fmt.Errorf("count tasks: %w", ErrClosed)
	}
	defer e.working.Done()
	l := e.looker()
	defer e.lookers.Put(l)
	if depth == 0 {
		depth = l.depth(c.init)
	}
	found, err = l.pass(c.tasks, most, budget, depth, start)
	return found, depth, err
}

// take makes a sample of what a pass found, and steps of the averages up to it.
// It needs mu.
func (c *Container) take(found counts, at time.Time) {
	n := periods(at.Sub(c.upTo))
	c.load = c.load.after(n, found.active())
	switch {
	case n == 1:
		c.upTo = c.upTo.Add(period) // and not at: no time is lost by being late
	case n > 1:
		c.upTo = at
	}
	c.next = found.end
	c.last = Sample{
		Loadavg: procfile.Loadavg{
			Load:    c.load,
			Running: found.scaled(found.running),
			Total:   found.total,
			LastPID: found.last,
		},
		Blocked: found.scaled(found.blocked),
		Seen:    found.seen,
		At:      at,
	}
}
