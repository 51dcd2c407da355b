// SPDX-License-Identifier: Apache-2.0

package procfile

import "time"

// A Ticks is a time in 1/USER_HZ s, as the kernel tells CPU times to user space.
// USER_HZ is 100 on every architecture that Go runs on, whatever the kernel's own
// HZ (asm/param.h).
//
// Sums over CPUs are kept in it: the nanoseconds that 4096 idle CPUs add up to
// exceed a [time.Duration] after 26 days.
type Ticks uint64

// tick is how long one is.
const tick = time.Second / 100

// TicksOf returns d in whole ticks, rounded down, as the kernel's
// nsec_to_clock_t does; a negative time is 0.
func TicksOf(d time.Duration) Ticks { return Ticks(max(0, d) / tick) }

// appendSeconds appends t as seconds with two digits after the point.
func (t Ticks) appendSeconds(dst []byte) []byte {
	const perSecond = Ticks(time.Second / tick)
	return appendHundredths(dst, uint64(t/perSecond), uint64(t%perSecond))
}
