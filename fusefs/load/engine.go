// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"sync"
	"time"
)

const (
	// interest is for how long after a read a container is sampled.
	interest = 5 * time.Minute
	// fresh is how old a sample may be that a reader is given. The goroutine
	// renews it each 5 s, and may be late.
	fresh = period + period/10
	// sweepTime is what all passes of one sweep may take together, listing the
	// tasks aside: a twentieth of one CPU.
	sweepTime = period / 20
)

// ErrClosed says that the Engine was closed.
var ErrClosed = errors.New("the load engine is closed")

// A Config says where an Engine reads.
type Config struct {
	// Proc is a procfs, "/proc". TIDs are as it numbers them.
	Proc string
	// Freezer is the directory of v1's freezer hierarchy: what a freezer path of
	// "/" in a /proc/TID/cgroup means. "" where there is none.
	Freezer string
	// Now is the clock. It may stop while the machine is suspended, as the
	// kernel's averages do.
	Now func() time.Time
}

// An Engine samples the containers that are read. Its methods, and those of its
// Containers, may be called at the same time.
type Engine struct {
	proc, freezer directory
	now           func() time.Time
	lookers       sync.Pool

	working sync.WaitGroup // passes and the sweep

	mu      sync.Mutex
	closed  bool
	sampled map[*Container]struct{} // those that were read lately
	timer   *time.Timer             // nil while none is
}

// New opens the directories. The error names the one that can't be opened.
func New(config Config) (*Engine, error) {
	e := &Engine{now: config.Now, sampled: map[*Container]struct{}{}}
	var err error
	if e.proc, err = openDirectory(config.Proc); err != nil {
		return nil, err
	}
	if config.Freezer != "" {
		if e.freezer, err = openDirectory(config.Freezer); err != nil {
			return nil, errors.Join(err, e.proc.close())
		}
	}
	return e, nil
}

// Close ends sampling, waits for what is under way and closes the directories.
// Later reads give ErrClosed. Closing twice does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	if e.timer != nil && e.timer.Stop() {
		e.working.Done()
	}
	e.timer = nil
	e.mu.Unlock()
	if again {
		return nil
	}
	e.working.Wait()
	return errors.Join(e.proc.close(), e.freezer.close())
}

// looker returns one that nobody else uses, for lookers.Put.
func (e *Engine) looker() *looker {
	if l, ok := e.lookers.Get().(*looker); ok {
		return l
	}
	return &looker{proc: e.proc, freezer: e.freezer, now: e.now}
}

// begin holds the directories open until working.Done; false once closed.
func (e *Engine) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.working.Add(1)
	}
	return !e.closed
}

// sample begins to sample a container that was read.
func (e *Engine) sample(c *Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.closed || c.forgotten || c.sampled {
		return
	}
	c.sampled = true
	e.sampled[c] = struct{}{}
	if e.timer == nil {
		e.working.Add(1)
		next := e.now().Add(period)
		e.timer = time.AfterFunc(period, func() { e.sweep(next) })
	}
}

// sweep, which was due at due, makes a pass over each container that was read
// lately, and sets the timer for the next one.
func (e *Engine) sweep(due time.Time) {
	defer e.working.Done()
	containers := e.lately()
	budget := min(passTime, sweepTime/time.Duration(max(1, len(containers))))
	for _, c := range containers {
		if !c.due(e.now()) {
			continue
		}
		if _, err := c.pass(listedInSweep, budget); err != nil {
			// Nobody asked. The next reader does, and is told by a pass of its
			// own.
			e.leave(c)
		}
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.sampled) == 0 {
		e.timer = nil
		return
	}
	now := e.now()
	next := due.Add(period)
	if next.Before(now) { // the machine is overloaded, or was suspended
		next = now.Add(period)
	}
	e.working.Add(1)
	e.timer = time.AfterFunc(next.Sub(now), func() { e.sweep(next) })
}

// lately returns the containers that were read lately, and leaves the others.
func (e *Engine) lately() []*Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	containers := make([]*Container, 0, len(e.sampled))
	for c := range e.sampled {
		if !c.read(now) {
			e.leaveLocked(c)
			continue
		}
		containers = append(containers, c)
	}
	return containers
}

func (e *Engine) leave(c *Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaveLocked(c)
}

// leaveLocked needs mu.
func (e *Engine) leaveLocked(c *Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sampled = false
	delete(e.sampled, c)
}
