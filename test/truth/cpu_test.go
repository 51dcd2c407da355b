// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	goruntime "runtime"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// points is how far a tool may be from the truth, in percent of all CPUs.
const points = 2

// The columns of a tool are rounded one by one, vmstat's to whole percents.
const rounding = 2.5

// compare checks what tools saw against the counters: busy is the usage, steal
// no more than what was refused, idle the rest.
func (c *container) compare(t *testing.T, sights []sight, counters recording, length time.Duration, cpus int) {
	t.Helper()
	for _, s := range sights {
		usage, throttled := counters.within(s.began, s.seen, length, cpus)
		t.Logf("%-13s %5.1f %% busy (%v), %5.1f %% steal (%v), %5.1f %% idle", s.tool, s.shares.busy, usage, s.shares.steal, throttled, s.shares.idle)
		if !usage.has(s.shares.busy, points) {
			t.Errorf("%s in %s shows %.1f %% busy; %s grew by %v of %d CPUs. It printed\n%s",
				s.tool, c.name, s.shares.busy, c.cgroup.usageFile(), usage, cpus, s.output)
		}
		if s.shares.steal > throttled.high+points {
			t.Errorf("%s in %s shows %.1f %% steal; the quota refused %v of %d CPUs (%s). It printed\n%s",
				s.tool, c.name, s.shares.steal, throttled, cpus, c.cgroup.file("cpu", "cpu.stat"), s.output)
		}
		if sum := s.shares.busy + s.shares.steal + s.shares.idle; sum < 100-rounding || sum > 100+rounding {
			t.Errorf("%s in %s shows %.1f %% busy, %.1f %% steal and %.1f %% idle: %.1f %% together. It printed\n%s",
				s.tool, c.name, s.shares.busy, s.shares.steal, s.shares.idle, sum, s.output)
		}
	}
}

// neighbour starts a container that would use all CPUs if nobody else did.
func neighbour(t *testing.T) {
	t.Helper()
	start(t, "truth-neighbour").burn(t, 100*goruntime.NumCPU())
}

// TestBusy watches a container that burns one and a half of its two CPUs, alone
// and beside one that burns all.
func TestBusy(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	testenv.NoLeaks(t)
	const cpus = 2
	c := start(t, "truth-busy", "--cpus", "2")
	c.burn(t, 150)
	look := func(length time.Duration, tools []tool) {
		sights, counters := c.watch(t, length, tools)
		c.compare(t, sights, counters, length, cpus)
	}
	t.Run("alone", func(t *testing.T) { look(10*time.Second, all()) })
	t.Run("with a neighbour", func(t *testing.T) {
		neighbour(t)
		look(5*time.Second, fast())
	})
}

// TestSaturated watches a container whose quota is a fifth of a CPU and used up
// in every period, alone and beside one that burns all CPUs.
func TestSaturated(t *testing.T) {
	testenv.NoLeaks(t)
	// With this weight it gets what it may use, however busy the machine is.
	c := start(t, "truth-saturated", "--cpu-quota", "20000", "--cpu-shares", "100000")
	c.burn(t, 100)
	const length = 5 * time.Second
	look := func(t *testing.T) {
		t.Helper()
		var sights []sight
		var counters recording
		// On a machine that others use too it may have to wait until it can't fill a
		// period; then it isn't saturated, and what it waited for isn't steal.
		filled := false
		for range 5 {
			sights, counters = c.watch(t, length, fast())
			usage, _ := counters.within(sights[0].began, sights[0].seen, length, 1)
			if filled = usage.low >= 19.7; filled {
				break
			}
			t.Logf("the kernel gave %s only %v of a CPU, its quota is 20 %%: once more", c.name, usage)
			c.compare(t, sights, counters, length, 1)
		}
		if !filled {
			t.Error("others use the CPUs so much that the quota was never used up for 5 s")
		}
		for _, s := range sights {
			usage, throttled := counters.within(s.began, s.seen, length, 1)
			t.Logf("%-8s %4.1f %% busy (%v), %4.1f %% steal (refused: %v), %4.1f %% idle",
				s.tool, s.shares.busy, usage, s.shares.steal, throttled, s.shares.idle)
			if !usage.has(s.shares.busy, points) || s.shares.busy > 22 || s.shares.steal < 75 || s.shares.idle >= 5 {
				t.Errorf("%s in %s shows %.1f %% busy, %.1f %% steal, %.1f %% idle; %s grew by %v of a CPU, the rest is steal. It printed\n%s",
					s.tool, c.name, s.shares.busy, s.shares.steal, s.shares.idle, c.cgroup.usageFile(), usage, s.output)
			}
		}
	}
	t.Run("alone", look)
	t.Run("with a neighbour", func(t *testing.T) {
		neighbour(t)
		look(t)
	})
}
