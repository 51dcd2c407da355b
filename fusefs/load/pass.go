// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// What a pass may cost. It takes 12 µs to look at a task.
const (
	passTime  = 5 * time.Millisecond // of looking at tasks, once they are listed
	passTasks = 1024                 // to look at
	leastSeen = 32                   // tasks that are looked at however late it is

	listedForReader = 1 << 15 // TIDs: some 15 ms
	listedInSweep   = 1 << 17 // TIDs: some 60 ms and 1 MiB
)

// A Tasks lists a container's tasks.
type Tasks interface {
	// Tasks appends the TIDs of the container's cgroup and of all below it to
	// dst, at most so many; complete says that there are no more. They are
	// numbered as in the procfs that the Engine reads.
	Tasks(dst []int, most int) (tids []int, complete bool, err error)
}

// counts are what a pass found.
type counts struct {
	total, seen      int // tasks, and how many of them were looked at
	running, blocked int // of those that were looked at
	last             int // the largest PID
	end              int // where the next pass goes on
}

// active is the load in units of 1/2048.
func (c counts) active() uint64 {
	if c.seen == 0 {
		return 0
	}
	return uint64(c.running+c.blocked) * fixed * uint64(c.total) / uint64(c.seen)
}

// scaled is what a count among the tasks that were looked at stands for.
func (c counts) scaled(n int) int {
	if c.seen == 0 {
		return 0
	}
	return int((uint64(n)*uint64(c.total) + uint64(c.seen)/2) / uint64(c.seen))
}

// A looker looks at tasks, one pass after the other. Its buffers are used again.
type looker struct {
	proc    directory
	freezer directory // zero where there is no such hierarchy
	now     func() time.Time

	tids []int
	name []byte
	text [8192]byte // a status has some 1.5 kB, and 5 bytes or more for each supplementary group

	// The freezer cgroup that was asked last, and its answer: tasks in D mostly
	// are of one.
	asked  []byte
	frozen bool
}

// pass looks at the tasks for at most so long and counts them. depth is the one
// of the PID namespace that the largest PID is told in, start where the pass
// before ended.
func (l *looker) pass(tasks Tasks, most int, budget time.Duration, depth, start int) (counts, error) {
	var err error
	l.tids, _, err = tasks.Tasks(l.tids[:0], most)
	if err != nil {
		return counts{}, fmt.Errorf("count tasks: %w", err)
	}
	l.asked = l.asked[:0]
	c := counts{total: len(l.tids)}
	begun := l.now()
	indices := newOrder(len(l.tids), start)
	gone := 0
	for range l.tids {
		if c.seen >= leastSeen && (c.seen >= passTasks || l.now().Sub(begun) >= budget) {
			break
		}
		tid := l.tids[indices.next()]
		s, err := l.status(tid)
		if ended(err) {
			gone++
			continue
		}
		if err != nil {
			return counts{}, err
		}
		c.seen++
		c.last = max(c.last, s.pid(depth))
		switch s.state {
		case 'R':
			c.running++
		case 'D':
			if !l.isFrozen(tid) { // reads into the same buffer: s.pids is lost
				c.blocked++
			}
		}
	}
	c.end = indices.at
	c.total -= gone
	if c.seen < c.total { // the largest here is most likely the largest there
		if s, err := l.status(slices.Max(l.tids)); err == nil {
			c.last = max(c.last, s.pid(depth))
		}
	}
	return c, nil
}

// status reads a task's status; the result is valid until the next read.
func (l *looker) status(tid int) (status, error) {
	l.name = taskFile(l.name[:0], tid, "status")
	text, err := l.proc.read(l.name, l.text[:])
	if err != nil {
		return status{}, err
	}
	if len(text) == 0 {
		return status{}, fmt.Errorf("count tasks: %s/%s is empty: %w", l.proc.path, l.name, unix.ESRCH)
	}
	s, err := parseStatus(text)
	if err != nil {
		return status{}, fmt.Errorf("count tasks: %s/%s: %w", l.proc.path, l.name, err)
	}
	return s, nil
}

// depth is in how many PID namespaces the task has a number; 0 if it has ended.
func (l *looker) depth(tid int) int {
	s, err := l.status(tid)
	if err != nil {
		return 0
	}
	return s.depth()
}

// isFrozen says whether v1's freezer holds the task, which is shown as D. What
// can't be read isn't frozen: the root has no state, and a task that ended
// meanwhile makes no difference.
func (l *looker) isFrozen(tid int) bool {
	if l.freezer.path == "" {
		return false
	}
	l.name = taskFile(l.name[:0], tid, "cgroup")
	text, err := l.proc.read(l.name, l.text[:])
	if err != nil {
		return false
	}
	path, ok := freezerPath(text)
	if !ok {
		return false
	}
	if !bytes.Equal(path, l.asked) {
		l.asked = append(l.asked[:0], path...)
		l.name = append(append(l.name[:0], '.'), path...)
		l.name = append(l.name, "/freezer.state"...)
		state, err := l.freezer.read(l.name, l.text[:])
		l.frozen = err == nil && string(state) != "THAWED\n"
	}
	return l.frozen
}
