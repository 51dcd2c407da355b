// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"context"
	"math/rand/v2"
	goruntime "runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// turn is how long one row is read in hot mode before the next one is.
	turn = 10 * time.Millisecond
	// maxColdRows is how many rows are read within one ColdPeriod: so many that
	// there is a millisecond for each, several times what a read takes.
	maxColdRows = 20
	// progressEvery is how often Progress is called at most.
	progressEvery = 100 * time.Millisecond
)

// Measure carries out a plan and gives one result per mode and row, in the
// plan's order. Reads that fail are counted in the results and are no error of
// Measure. When ctx ends it returns what it has so far, and ctx's error.
func Measure(ctx context.Context, p Plan) ([]Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var results []Result
	for _, mode := range p.Modes {
		readers := make([]*reader, p.Readers)
		for i := range readers {
			var err error
			if readers[i], err = newReader(p.Rows); err != nil {
				return nil, err
			}
		}
		run := &run{plan: p, mode: mode, readers: readers, start: time.Now()}
		if mode == Hot {
			run.hot(ctx)
		} else {
			run.cold(ctx)
		}
		run.progress(true)
		of := summarize(p, mode, readers)
		addRatios(of)
		results = append(results, of...)
		if ctx.Err() != nil {
			break
		}
	}
	return results, ctx.Err()
}

// run is the measurement of one mode.
type run struct {
	plan    Plan
	mode    Mode
	readers []*reader
	start   time.Time
	told    time.Time // when Progress was called last
}

// progress is called between reads by one goroutine, and at the end of a mode.
func (r *run) progress(end bool) {
	if now := time.Now(); r.plan.Progress != nil && (end || now.Sub(r.told) >= progressEvery) {
		r.told = now
		r.plan.Progress(Progress{Mode: r.mode, Done: min(now.Sub(r.start), r.plan.Duration), Total: r.plan.Duration})
	}
}

// order shuffles rows in a way that is the same in each run, so that no row
// always comes after the same other one: what that left in the processor's
// caches would be a part of its result.
type order struct {
	rng  *rand.Rand
	rows []int
}

func newOrder(rows int, seed uint64) *order {
	o := &order{rng: rand.New(rand.NewPCG(seed, 0)), rows: make([]int, rows)} //nolint:gosec // no secret
	for i := range o.rows {
		o.rows[i] = i
	}
	return o
}

func (o *order) next() []int {
	o.rng.Shuffle(len(o.rows), func(i, j int) { o.rows[i], o.rows[j] = o.rows[j], o.rows[i] })
	return o.rows
}

// assignment is a row's turn in hot mode.
type assignment struct {
	row   int
	until time.Time
}

// hot gives the rows turns, in which all readers read the same row.
func (r *run) hot(ctx context.Context) {
	rows := len(r.plan.Rows)
	rounds := max(1, int(r.plan.Duration/(turn*time.Duration(rows))))
	length := r.plan.Duration / time.Duration(rounds*rows)

	var readers, turns sync.WaitGroup
	work := make([]chan assignment, len(r.readers))
	for i, reader := range r.readers {
		work[i] = make(chan assignment)
		readers.Go(func() {
			goruntime.LockOSThread()
			defer goruntime.UnlockOSThread()
			for a := range work[i] {
				reader.turn(a)
				turns.Done()
			}
		})
	}
	order := newOrder(rows, 1)
	for n := 0; n < rounds*rows && ctx.Err() == nil; {
		for _, row := range order.next() {
			n++
			a := assignment{row: row, until: r.start.Add(time.Duration(n) * length)}
			turns.Add(len(work))
			for _, w := range work {
				w <- a
			}
			turns.Wait()
			r.progress(false)
			if ctx.Err() != nil {
				break
			}
		}
	}
	for _, w := range work {
		close(w)
	}
	readers.Wait()
}

// turn reads a row until its time is over. The first read, which finds the
// caches full of another row, doesn't count; the second does in any case.
func (r *reader) turn(a assignment) {
	r.read(a.row, false)
	for {
		r.read(a.row, true)
		if !time.Now().Before(a.until) {
			return
		}
	}
}

// cold reads the rows in groups that have their turn one after the other: more
// rows than fit into ColdPeriod would be read without a pause.
func (r *run) cold(ctx context.Context) {
	begin, rows := r.start, len(r.plan.Rows)
	for _, group := range coldGroups(r.plan.Rows) {
		end := begin.Add(r.plan.Duration * time.Duration(len(group)) / time.Duration(rows))
		r.coldGroup(ctx, group, begin, end)
		begin = end
	}
}

// coldGroups parts rows into groups of at most maxColdRows. Rows of one file
// stay together, since they are compared with each other, unless they are more.
func coldGroups(rows []Row) [][]int {
	var groups [][]int
	for i := 0; i < len(rows); {
		end := i + 1
		for end < len(rows) && rows[end].File == rows[i].File && end-i < maxColdRows {
			end++
		}
		if last := len(groups) - 1; last >= 0 && len(groups[last])+end-i <= maxColdRows {
			for ; i < end; i++ {
				groups[last] = append(groups[last], i)
			}
			continue
		}
		var group []int
		for ; i < end; i++ {
			group = append(group, i)
		}
		groups = append(groups, group)
	}
	return groups
}

// coldGroup lets each reader read each row of a group once per ColdPeriod.
// Readers are out of step, so that they don't always meet in the server.
func (r *run) coldGroup(ctx context.Context, rows []int, start, end time.Time) {
	step := ColdPeriod / time.Duration(len(rows))
	var readers sync.WaitGroup
	for i, reader := range r.readers {
		begin := start.Add(step * time.Duration(i) / time.Duration(len(r.readers)))
		readers.Go(func() {
			goruntime.LockOSThread()
			defer goruntime.UnlockOSThread()
			order := newOrder(len(rows), uint64(i))
			for _, row := range order.next() {
				reader.read(rows[row], false) // the very first one finds no dentries
			}
			for n := 0; n == 0 || time.Now().Before(end); {
				for _, row := range order.next() {
					sleepUntil(begin.Add(time.Duration(n) * step))
					if ctx.Err() != nil {
						return
					}
					reader.read(rows[row], true)
					n++
					if i == 0 {
						r.progress(false)
					}
				}
			}
		})
	}
	readers.Wait()
}

// sleepUntil sleeps in the kernel, as a program in another language would:
// time.Sleep wakes another thread first, which then wakes this one.
func sleepUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(left))
		// An interrupted sleep goes on with what is left.
		unix.Nanosleep(&ts, nil) //nolint:errcheck // EINTR only
	}
}
