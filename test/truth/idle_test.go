// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestIdle changes how many CPUs an idle container has, by quota and by cpuset:
// its idle time grows with the CPUs that it is shown, and no column ever falls.
func TestIdle(t *testing.T) {
	all := goruntime.NumCPU()
	testenv.RequireCPUs(t, 2)
	for name, set := range map[string]func(t *testing.T, c cgroup, cpus int){
		"quota": func(t *testing.T, c cgroup, cpus int) { t.Helper(); c.setQuota(t, cpus) },
		"cpuset": func(t *testing.T, c cgroup, cpus int) {
			t.Helper()
			c.write(t, "cpuset", "cpuset.cpus", fmt.Sprintf("0-%d", cpus-1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			c := start(t, "truth-idle-"+name, "--cpuset-cpus", fmt.Sprintf("0-%d", all-1))
			set(t, c.cgroup, all)
			shown := map[string][]int64{} // the last that a reader saw of each line
			read := func(cpus int) statRead {
				r := c.stat(t)
				if r.visible() != cpus {
					t.Fatalf("/proc/stat shows %d CPUs, want %d: %v", r.visible(), cpus, r.columns)
				}
				for line, columns := range r.columns {
					for i, was := range shown[line] {
						if columns[i] < was {
							t.Errorf("/proc/stat with %d CPUs: %s's column %d falls from %d to %d", cpus, line, i+1, was, columns[i])
						}
					}
					shown[line] = columns
				}
				return r
			}
			for _, cpus := range []int{all, 1, all} {
				set(t, c.cgroup, cpus)
				time.Sleep(50 * time.Millisecond) // a change is seen in live files 10 ms later
				read(cpus)                        // what it shows belongs to the time before the change
				last := read(cpus)
				for range 3 {
					time.Sleep(700 * time.Millisecond)
					now := read(cpus)
					grown(t, last, now)
					last = now
				}
			}
		})
	}
}

// grown checks what two reads of an idle container show in between: each CPU all
// the time that passed, nearly all of it idle.
func grown(t *testing.T, last, now statRead) {
	t.Helper()
	cpus := float64(now.visible())
	least := cpus*ticksPerSecond*now.before.Sub(last.after).Seconds() - cpus - 1
	most := cpus*ticksPerSecond*now.after.Sub(last.before).Seconds() + cpus + 1
	sum := 0.0
	for i, value := range now.columns["cpu"] {
		sum += float64(value - last.columns["cpu"][i])
	}
	idle := float64(now.columns["cpu"][idleColumn] - last.columns["cpu"][idleColumn])
	t.Logf("%v CPUs: %v ticks, %v of them idle, in %.0f to %.0f", cpus, sum, idle, least, most)
	if sum < least || sum > most {
		t.Errorf("all columns of %v CPUs grew by %v ticks, in the time of %.0f to %.0f", cpus, sum, least, most)
	}
	// Reading is work too: cat, and the shell that starts it.
	if idle < 0.8*least {
		t.Errorf("an idle container's %v CPUs were idle for %v ticks of at least %.0f", cpus, idle, least)
	}
	if steal := now.columns["cpu"][stealColumn] - last.columns["cpu"][stealColumn]; steal > 2 {
		t.Errorf("an idle container is shown %d ticks of steal", steal)
	}
}
