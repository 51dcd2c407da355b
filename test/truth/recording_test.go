// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"sort"
	"testing"
	"time"
)

// recording is a cgroup's CPU counters over some time, oldest first.
type recording []cpuTimes

// sampling is how far the counters of a recording are apart.
const sampling = 20 * time.Millisecond

// record reads the cgroup's counters while do runs.
func (c cgroup) record(t *testing.T, do func()) recording {
	t.Helper()
	var r recording
	var failed error
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for last := false; ; {
			now, err := c.cpu()
			if err != nil {
				failed = err
				return
			}
			r = append(r, now)
			if last {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				last = true
			}
		}
	}()
	func() {
		defer func() { // also when do ends the test
			close(end)
			<-ended
		}()
		do()
	}()
	return must(r, failed)(t)
}

// at gives the counters at a moment within the recording.
func (r recording) at(when time.Time) cpuTimes {
	i := sort.Search(len(r), func(i int) bool { return r[i].at.After(when) })
	switch i {
	case 0:
		return r[0]
	case len(r):
		return r[len(r)-1]
	}
	a, b := r[i-1], r[i]
	part := float64(when.Sub(a.at)) / float64(b.at.Sub(a.at))
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(part*float64(b-a)) }
	return cpuTimes{when, between(a.usage, b.usage), between(a.throttled, b.throttled)}
}

// span is a range of percentages.
type span struct{ low, high float64 }

func (s span) String() string { return fmt.Sprintf("%.1f to %.1f %%", s.low, s.high) }

// has tells whether x is in the span or at most slack beside it.
func (s span) has(x, slack float64) bool { return x >= s.low-slack && x <= s.high+slack }

// within gives what usage and time refused were, in percent of so many CPUs, in
// each window of this length between two moments. A CPU can't show more than all
// of its time, so neither is more than 100.
func (r recording) within(from, to time.Time, length time.Duration, cpus int) (usage, throttled span) {
	usage, throttled = span{100, 0}, span{100, 0}
	last := to.Add(-length)
	if last.Before(from) {
		last = from // the tool's timer was that much early
	}
	widen := func(s *span, d time.Duration) {
		percent := min(100, 100*d.Seconds()/length.Seconds()/float64(cpus))
		s.low, s.high = min(s.low, percent), max(s.high, percent)
	}
	for at := from; !at.After(last); at = at.Add(sampling) {
		a, b := r.at(at), r.at(at.Add(length))
		widen(&usage, b.usage-a.usage)
		widen(&throttled, b.throttled-a.throttled)
	}
	return usage, throttled
}
