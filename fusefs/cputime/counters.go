// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"math"
	"math/bits"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// busy is time that tasks ran for.
type busy struct{ user, system time.Duration }

func (b *busy) add(o busy) {
	b.user = addSaturated(b.user, o.user)
	b.system = addSaturated(b.system, o.system)
}

// sum needs a bit more than a Duration has.
func (b *busy) sum() uint64 { return uint64(b.user) + uint64(b.system) }

// amount is the sum, or the largest Duration.
func (b *busy) amount() time.Duration { return addSaturated(b.user, b.system) }

// take takes d out of b, or all if there is less, in the ratio of its parts.
func (b *busy) take(d time.Duration) busy {
	d = min(d, b.amount())
	if d <= 0 {
		return busy{}
	}
	user := share(d, b.user, b.sum())
	taken := busy{user, d - user}
	b.user -= taken.user
	b.system -= taken.system
	return taken
}

// atMost cuts b down to d.
func (b *busy) atMost(d time.Duration) {
	if b.amount() > d {
		*b = b.take(d)
	}
}

// share is d × part/whole, rounded down. d and part are not negative, part is at
// most whole, and whole isn't 0.
func share(d, part time.Duration, whole uint64) time.Duration {
	hi, lo := bits.Mul64(uint64(d), uint64(part))
	q, _ := bits.Div64(hi, lo, whole) // hi < whole, for d < 2^64 and part ≤ whole
	return time.Duration(q)
}

// scale is d × by/of, or the largest Duration. None is negative, of isn't 0.
func scale(d, by, of time.Duration) time.Duration {
	hi, lo := bits.Mul64(uint64(d), uint64(by))
	if hi >= uint64(of) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(of))
	return time.Duration(min(q, math.MaxInt64))
}

func addSaturated(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// counters are a cgroup's usage at the last sample.
type counters struct {
	total  time.Duration
	user   time.Duration   // the part of total, as it was shown
	perCPU []time.Duration // by CPU id; empty where it isn't known
}

// begin makes the counters those of a cgroup that has used nothing yet.
func (c *counters) begin(u *limits.CPUTime) {
	*c = counters{perCPU: make([]time.Duration, len(u.PerCPU))}
}

// userOf is the part of u.Total that is user time. It is never less than was
// shown, and nor is what it leaves for system time.
func (c *counters) userOf(u *limits.CPUTime) time.Duration {
	b := busy{max(0, u.User), max(0, u.System)}
	user := u.Total // v1, and less than a tick is known: as the kernel has it
	if b.sum() > 0 {
		user = share(max(0, u.Total), b.user, b.sum())
	}
	if u.Total < c.total {
		return user
	}
	return min(max(user, c.user), c.user+(u.Total-c.total))
}

// delta is what was used since. After a fall it is nothing.
func (c *counters) delta(u *limits.CPUTime) busy {
	if u.Total <= c.total {
		return busy{}
	}
	user := c.userOf(u) - c.user
	return busy{user, u.Total - c.total - user}
}

// set makes u what later samples are compared with.
func (c *counters) set(u *limits.CPUTime) {
	c.user = c.userOf(u)
	c.total = u.Total
	c.perCPU = append(c.perCPU[:0], u.PerCPU...)
}

// ownTime says what single CPUs were used since. Where one of both samples
// doesn't know, or knows other CPUs, it says 0.
func (c *counters) ownTime(u *limits.CPUTime) ownTime {
	if len(u.PerCPU) != len(c.perCPU) {
		return ownTime{}
	}
	return ownTime{before: c.perCPU, now: u.PerCPU}
}

type ownTime struct{ before, now []time.Duration }

func (o ownTime) of(cpu int) time.Duration {
	if cpu >= len(o.now) {
		return 0
	}
	return max(0, o.now[cpu]-o.before[cpu])
}
