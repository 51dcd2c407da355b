// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// The kernel's longest period, max_cfs_quota_period in kernel/sched/core.c.
const longestPeriod = time.Second

// refusals is what the quotas refused and was not shown yet.
type refusals struct {
	quotas []quota // at the last sample
	owed   time.Duration
	// credit is how much the container's own quota can have refused: no more of
	// what is owed is shown.
	credit time.Duration
	recent window
	// saturated says that the container used its own quota up all the time, in the
	// last window. All that its usage allows is steal then: what it wasn't refused,
	// it waited for a CPU that others had.
	saturated bool
}

// windowPeriods is how many periods a window has at least.
const windowPeriods = 16

// window is what the container did with its own quota over some periods.
type window struct{ wall, used, refused time.Duration }

// filled reports whether the container was refused something and used all quotas
// in the window but one: the window begins and ends within periods.
func (w *window) filled(q limits.Quota) bool {
	return w.refused > 0 && addSaturated(w.used, q.Quota) >= scale(w.wall, q.Quota, q.Period)
}

// quota is a level of the chain that has one.
type quota struct {
	path      string
	throttled time.Duration // limits.CPU.Throttled
}

// count adds what the tightest quota refused since the last sample to what is
// owed, and gives how much of that may be shown. used is what the container used
// in that time, wall, on so many visible CPUs.
func (r *refusals) count(chain *limits.CPUChain, wall, used time.Duration, cpus int, first bool) (most time.Duration) {
	tightest, limited := chain.Tightest()
	own := limited && isOwn(chain, &tightest)
	refused := r.since(&tightest, first && own)
	r.remember(chain)
	r.owed = addSaturated(r.owed, refused)
	if !own {
		r.credit, r.recent, r.saturated = 0, window{}, false
		return r.owed
	}
	// A period that refused anything used the quota up, and so had no more than
	// spareTime for steal and idle. An eighth more, since the kernel may leave some
	// of a quota on CPUs that don't need it (sched_cfs_bandwidth_slice_us).
	r.credit = addSaturated(r.credit, scale(addSaturated(used, used/8), spareTime(tightest.Quota, cpus), tightest.Quota.Quota))
	w := &r.recent
	w.wall, w.used, w.refused = w.wall+wall, addSaturated(w.used, used), addSaturated(w.refused, refused)
	if w.wall >= windowPeriods*min(tightest.Quota.Period, longestPeriod) {
		r.saturated, *w = w.filled(tightest.Quota), window{}
	}
	if r.saturated {
		r.owed = max(r.owed, r.credit)
	}
	return min(r.owed, r.credit)
}

// shown says that so much of what is owed was shown.
func (r *refusals) shown(d time.Duration) {
	r.owed -= d
	r.credit = max(0, r.credit-d)
}

// isOwn reports whether a level is the container's own.
func isOwn(chain *limits.CPUChain, level *limits.CPU) bool {
	return level.Path == chain.Levels[0].Path
}

// spareTime is what a quota that is used up leaves of each period on so many CPUs.
func spareTime(q limits.Quota, cpus int) time.Duration {
	return max(0, time.Duration(cpus)*min(q.Period, longestPeriod)-q.Quota)
}

// since is what the level refused since the last sample. One that had no quota
// then begins now, if it wasn't born with the container.
func (r *refusals) since(level *limits.CPU, born bool) time.Duration {
	if born {
		return max(0, level.Throttled)
	}
	for i := range r.quotas {
		if q := &r.quotas[i]; q.path == level.Path {
			return max(0, level.Throttled-q.throttled)
		}
	}
	return 0
}

// remember keeps all levels' counters: the next time another may be the tightest.
func (r *refusals) remember(chain *limits.CPUChain) {
	r.quotas = r.quotas[:0]
	for i := range chain.Levels {
		if l := &chain.Levels[i]; l.Quota.Limited() {
			r.quotas = append(r.quotas, quota{l.Path, l.Throttled})
		}
	}
}

// forgive drops what is owed beyond what fits in a period; all of it where there
// is no quota, and after a first sample.
func (r *refusals) forgive(chain *limits.CPUChain, cpus int, first bool) {
	tightest, limited := chain.Tightest()
	switch {
	case first || !limited:
		r.owed = 0
	case isOwn(chain, &tightest):
		// The usage of the period under way is known before what it is refused, so
		// a period's credit stays.
		spare := spareTime(tightest.Quota, cpus)
		r.owed, r.credit = min(r.owed, spare), min(r.credit, spare)
	default:
		r.owed = min(r.owed, time.Duration(cpus)*min(tightest.Quota.Period, longestPeriod))
	}
}
