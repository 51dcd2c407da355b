// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// Quota is the CPU time that a cgroup may use: Quota in each Period. Its zero
// value, and any with a Quota or Period that isn't positive, is no quota.
//
// Source: v2 cpu.max, v1 cpu.cfs_quota_us and cpu.cfs_period_us (kernel
// Documentation/scheduler/sched-bwc.rst).
type Quota struct{ Quota, Period time.Duration }

// Limited reports whether there is a quota.
func (q Quota) Limited() bool { return q.Quota > 0 && q.Period > 0 }

// CPUs is the number of CPUs that the quota can keep busy, rounded up and at
// least 1, as Go (since 1.25) and the JVM count it. Without a quota it is
// (0, false).
func (q Quota) CPUs() (n int, limited bool) {
	if !q.Limited() {
		return 0, false
	}
	whole := q.Quota / q.Period
	if q.Quota%q.Period != 0 {
		whole++
	}
	if int64(whole) > math.MaxInt32 {
		return math.MaxInt32, true
	}
	return int(whole), true
}

// Less reports whether q leaves less CPU time than o: a smaller ratio of quota
// to period. No quota is never less.
func (q Quota) Less(o Quota) bool {
	if !q.Limited() || !o.Limited() {
		return q.Limited() && !o.Limited()
	}
	// q.Quota/q.Period < o.Quota/o.Period, in 128 bits: the kernel's largest
	// quota (2^44 µs) times its largest period (1 s) passes 2^64 ns².
	ah, al := bits.Mul64(uint64(q.Quota), uint64(o.Period))
	bh, bl := bits.Mul64(uint64(o.Quota), uint64(q.Period))
	return ah < bh || ah == bh && al < bl
}

// String is the quota for messages: "50ms/100ms", or "max".
func (q Quota) String() string {
	if !q.Limited() {
		return "max"
	}
	return fmt.Sprintf("%v/%v", q.Quota, q.Period)
}

// CPU is one level of a CPU chain.
type CPU struct {
	Path  string // the cgroup, relative to its hierarchy's root
	Quota Quota
	// Throttled is how long the level's quota kept its tasks from running, summed
	// over CPUs: v2 cpu.stat throttled_usec, v1 throttled_time. It is read with
	// [CPUTime] only.
	Throttled time.Duration
}

// CPUChain is what limits a container's CPUs.
type CPUChain struct {
	// Levels are the cgroups with the cpu controller's files, the container's
	// first. Empty for the root cgroup and where there is no cpu controller.
	Levels []CPU
	// Effective are the CPUs that the container's threads may run on: the
	// effective cpuset of its cgroup, or of the nearest ancestor that has one.
	// It may name CPUs that are offline by now.
	Effective cpulist.Set
	// HaveEffective is false where no cpuset controller says anything: every
	// CPU may be used then and Effective is empty.
	HaveEffective bool
}

// Tightest is the level whose quota leaves the least CPU time, the one nearest
// to the container if several do; ok is false if no level has a quota.
func (c CPUChain) Tightest() (level CPU, ok bool) {
	for _, l := range c.Levels {
		if l.Quota.Less(level.Quota) {
			level, ok = l, true
		}
	}
	return level, ok
}
