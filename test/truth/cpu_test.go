// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// points is how far a tool may be from the truth, in percent of all CPUs.
const points = 2

// The columns of a tool are rounded one by one, vmstat's to whole percents.
const rounding = 2.5

// compare checks what tools saw against the counters: busy is the usage, and all
// columns are all of the time.
func (c *container) compare(t *testing.T, sights []sight, counters recording, cpus int) {
	t.Helper()
	for _, s := range sights {
		usage, throttled := counters.within(s.began, s.seen, s.length, cpus)
		t.Logf("%-13s %5.1f %% busy (used: %v), %5.1f %% steal (refused: %v), %5.1f %% idle",
			s.tool, s.shares.busy, usage, s.shares.steal, throttled, s.shares.idle)
		sum := s.shares.busy + s.shares.steal + s.shares.idle
		if !usage.has(s.shares.busy, points) || sum < 100-rounding || sum > 100+rounding {
			t.Errorf("%s in %s shows %.1f %% busy, %.1f %% steal, %.1f %% idle; %s grew by %v of %d CPUs. It printed\n%s",
				s.tool, c.name, s.shares.busy, s.shares.steal, s.shares.idle, c.cgroup.usageFile(), usage, cpus, s.output)
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
	look := func(t *testing.T, length time.Duration, tools []tool) {
		t.Helper()
		sights, counters := c.watch(t, length, tools)
		c.compare(t, sights, counters, cpus)
		for _, s := range sights {
			_, throttled := counters.within(s.began, s.seen, s.length, cpus)
			if s.shares.steal > throttled.high+points {
				t.Errorf("%s in %s shows %.1f %% steal; by %s its quota refused %v of %d CPUs. It printed\n%s",
					s.tool, c.name, s.shares.steal, c.cgroup.file("cpu", "cpu.stat"), throttled, cpus, s.output)
			}
		}
	}
	t.Run("alone", func(t *testing.T) { look(t, 10*time.Second, all()) })
	t.Run("with a neighbour", func(t *testing.T) {
		neighbour(t)
		look(t, 5*time.Second, fast())
	})
}

// TestSaturated watches a container whose quota is a fifth of a CPU and used up
// in every period, alone and beside one that burns all CPUs.
func TestSaturated(t *testing.T) {
	testenv.NoLeaks(t)
	// With this weight it gets what it may use, however busy the machine is.
	c := start(t, "truth-saturated", "--cpu-quota", "20000", "--cpu-shares", "100000")
	c.burn(t, 100)
	const length, quota = 5 * time.Second, 20
	look := func(t *testing.T) {
		t.Helper()
		// On a machine that others use too it may have to wait for a CPU until it
		// can't fill a period. Then it isn't saturated.
		for range 4 {
			sights, counters := c.watch(t, length, fast())
			c.compare(t, sights, counters, 1)
			var wrong []string
			for _, s := range sights {
				if s.shares.busy > quota+points || s.shares.steal < 100-quota-5 || s.shares.idle >= 5 {
					wrong = append(wrong, fmt.Sprintf("%s in %s, which is saturated at %d %%, shows %.1f %% busy, %.1f %% steal, %.1f %% idle. It printed\n%s",
						s.tool, c.name, quota, s.shares.busy, s.shares.steal, s.shares.idle, s.output))
				}
			}
			if len(wrong) == 0 {
				return
			}
			if usage, _ := counters.within(sights[0].began, sights[0].seen, length, 1); usage.low < quota-0.3 {
				t.Logf("the kernel gave %s only %v of a CPU; its quota is %d %%: once more", c.name, usage, quota)
				continue
			}
			t.Error(strings.Join(wrong, "\n"))
			return
		}
		testenv.SkipAsBusy(t, fmt.Sprintf("the quota of %s, %d %% of a CPU, was never used up in %v", c.name, quota, length))
	}
	t.Run("alone", look)
	t.Run("with a neighbour", func(t *testing.T) {
		neighbour(t)
		look(t)
	})
}
