// SPDX-License-Identifier: Apache-2.0

package load

import "time"

const (
	// period is the time from one sample to the next. The kernel's is a tick
	// longer (LOAD_FREQ, 5·HZ+1), to not beat with what runs each second; over a
	// minute that makes less than a hundredth.
	period = 5 * time.Second

	// fixed is 1 in the kernel's fixed point (FIXED_1, FSHIFT 11).
	fixed = 1 << 11
)

// The kernel's decay in 5 s, over 1, 5 and 15 minutes: 2048/e^(5/60), …
// (EXP_1, EXP_5, EXP_15; include/linux/sched/loadavg.h).
const (
	decay1  = 1884
	decay5  = 2014
	decay15 = 2037
)

// averages are the loads over 1, 5 and 15 minutes, in units of 1/2048.
type averages [3]uint64

// after returns the averages n periods later, active tasks (times fixed) being
// runnable or blocked all that time.
func (a averages) after(n int64, active uint64) averages {
	for ; n > 0; n-- {
		next := averages{
			average(a[0], decay1, active),
			average(a[1], decay5, active),
			average(a[2], decay15, active),
		}
		if next == a { // and so it stays, for however many years
			break
		}
		a = next
	}
	return a
}

// average is the kernel's calc_load: one step towards active, rounded up when it
// leads upwards, so that a lasting load of 1 is shown as 1.00 in the end.
func average(load, decay, active uint64) uint64 {
	next := load*decay + active*(fixed-decay)
	if active >= load {
		next += fixed - 1
	}
	return next / fixed
}

// periods is how many steps are due after so much time, rounded to the nearest:
// a timer that fires a little early or late makes one step.
func periods(elapsed time.Duration) int64 {
	return int64((max(elapsed, 0)/2 + period/4) / (period / 2)) // halves, since elapsed may be the largest there is
}
