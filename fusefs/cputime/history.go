// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"cmp"
	"slices"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// A Sample is what was read of one container at one moment.
type Sample struct {
	// Now is the boot clock (CLOCK_BOOTTIME) at the time of the read.
	Now time.Duration
	// Start is the boot clock when the container's init began. Only a history's
	// first sample looks at it.
	Start time.Duration
	// Usage is not kept: its memory may be used for the next read.
	Usage limits.CPUTime
	// Visible are the CPUs that the container is shown now.
	Visible cpulist.Set
}

// History is what must be remembered of one container to show it columns that
// never fall and add up. Its zero value is a container that nobody has read yet.
type History struct {
	started bool
	at      time.Duration // when the last sample was taken
	columns []Column      // ascending by CPU: all that ever were visible
	visible cpulist.Set   // those that are
	counted counters
	owed    busy // used, and not shown yet
	refused refusals

	room []time.Duration // scratch of Advance: what a column can still take
}

// At is the boot clock at the last sample, 0 before the first.
func (h *History) At() time.Duration { return h.at }

// mostOwed bounds what is shown later, for each visible CPU; see the package
// comment.
const mostOwed = 4 * time.Second

// Advance brings the history to the sample's moment and returns the columns of
// all CPUs that were ever visible, ascending by CPU, in dst's memory. A sample
// that isn't newer than the last one changes nothing: its reader is shown what
// the other one was. Nothing is allocated once dst and the history have grown to
// the number of CPUs.
func (h *History) Advance(dst []Column, s Sample) []Column {
	first := !h.started
	if !first && s.Now <= h.at {
		return append(dst[:0], h.columns...)
	}
	if first {
		h.started = true
		h.at = max(0, min(s.Start, s.Now))
		h.counted.begin(&s.Usage)
		h.show(s.Visible)
	}
	wall := max(0, s.Now-h.at)
	own := h.counted.ownTime(&s.Usage)
	used := h.counted.delta(&s.Usage)
	h.owed.add(used)
	refused := h.refused.count(&s.Usage.Chain, wall, used.amount(), h.visible.Len(), first)

	h.open(func(c *Column) bool { return c.Visible }, wall)
	for i := range h.columns {
		h.run(i, own.of(h.columns[i].CPU))
	}
	h.runAnywhere()
	deal(h.room, refused, func(i int, d time.Duration) {
		h.columns[i].Steal += d
		h.refused.shown(d)
	})
	for i, left := range h.room {
		h.columns[i].Idle += left
	}

	if !h.visible.Equal(s.Visible) {
		before := h.visible
		h.show(s.Visible)
		h.open(func(c *Column) bool { return c.Visible && !before.Has(c.CPU) }, wall)
		h.runAnywhere()
	}

	cpus := h.visible.Len()
	h.owed.atMost(time.Duration(cpus) * mostOwed)
	if first {
		h.owed = busy{}
	}
	h.refused.forgive(&s.Usage.Chain, cpus, first)
	h.counted.set(&s.Usage)
	h.at = max(h.at, s.Now)
	return append(dst[:0], h.columns...)
}

// show makes exactly these CPUs visible.
func (h *History) show(visible cpulist.Set) {
	h.visible = visible
	for i := range h.columns {
		h.columns[i].Visible = visible.Has(h.columns[i].CPU)
	}
	known := h.columns
	for id := 0; id <= visible.Max(); id++ {
		if !visible.Has(id) {
			continue
		}
		if _, found := slices.BinarySearchFunc(known, id, func(c Column, id int) int { return cmp.Compare(c.CPU, id) }); !found {
			h.columns = append(h.columns, Column{CPU: id, Visible: true})
		}
	}
	if len(h.columns) > len(known) {
		slices.SortFunc(h.columns, func(a, b Column) int { return cmp.Compare(a.CPU, b.CPU) })
	}
}

// open gives the columns that which says room for an interval, the others none.
func (h *History) open(which func(*Column) bool, wall time.Duration) {
	h.room = slices.Grow(h.room[:0], len(h.columns))[:len(h.columns)]
	for i := range h.columns {
		h.room[i] = 0
		if which(&h.columns[i]) {
			h.room[i] = wall
		}
	}
}

// run shows up to d of what is owed in column i, as far as it has room.
func (h *History) run(i int, d time.Duration) {
	b := h.owed.take(min(d, h.room[i]))
	h.room[i] -= b.user + b.system
	h.columns[i].User += b.user
	h.columns[i].System += b.system
}

// runAnywhere shows what is owed in whatever columns have room.
func (h *History) runAnywhere() {
	deal(h.room, h.owed.amount(), func(i int, d time.Duration) {
		b := h.owed.take(d)
		h.columns[i].User += b.user
		h.columns[i].System += b.system
	})
}

// deal deals amount out over what has room, evenly and to the last nanosecond:
// nobody gets less than another unless it has no room for more. give is told who
// gets how much, perhaps more than once. What there is no room for stays.
func deal(room []time.Duration, amount time.Duration, give func(i int, d time.Duration)) {
	for amount > 0 {
		sharers := time.Duration(0)
		for _, r := range room {
			if r > 0 {
				sharers++
			}
		}
		if sharers == 0 {
			return
		}
		// Who gets less than its share leaves more to those after it; what the
		// last ones have no room for goes around again.
		for i, r := range room {
			if r == 0 {
				continue
			}
			d := min(r, amount/sharers)
			sharers--
			if d > 0 {
				room[i] -= d
				amount -= d
				give(i, d)
			}
		}
	}
}
