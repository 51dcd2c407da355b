// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package cputime_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// The real kernel's quota: one loop, or four, in a cgroup that may use 20 ms of each
// 100 ms. Every reader, fast or slow, must see 20 % busy and 80 % steal.
func TestSaturatedQuota(t *testing.T) {
	testenv.RequireRoot(t)
	for _, loops := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			layout, join := makeLimited(t, "20000")
			began := now(t)
			pid := 0
			for range loops {
				pid = spin(t, join)
			}
			cg := openOf(t, layout, pid)
			readers := []*reader{{interval: time.Millisecond}, {interval: 17 * time.Millisecond}, {interval: time.Second}}
			for _, r := range readers {
				r.advance(t, cg, began)
			}
			readAll := func(d time.Duration) {
				for end := now(t) + d; now(t) < end; time.Sleep(time.Millisecond) {
					for _, r := range readers {
						if now(t) >= r.at+r.interval {
							r.advance(t, cg, began)
						}
					}
				}
				for _, r := range readers {
					r.advance(t, cg, began)
				}
			}
			readAll(2 * time.Second) // until it is known to be saturated
			for _, r := range readers {
				r.first, r.since = r.last, r.at
			}
			readAll(5 * time.Second)
			for _, r := range readers {
				wall := r.at - r.since
				percent := func(d time.Duration) float64 { return 100 * d.Seconds() / wall.Seconds() }
				busy, steal := percent(r.last.Busy()-r.first.Busy()), percent(r.last.Steal-r.first.Steal)
				idle := percent(r.last.Idle - r.first.Idle)
				t.Logf("read each %v: %.1f %% busy, %.1f %% steal, %.1f %% idle", r.interval, busy, steal, idle)
				late := 0.0 // emulated CPUs are, for the ends of periods
				if testenv.InGuest() {
					late = 10
				}
				if busy < 18 || busy > 22 || steal < 75-late || steal > 82 || idle > 5+late {
					t.Errorf("read each %v: %.1f %% busy, %.1f %% steal, %.1f %% idle; want 20, 80, 0", r.interval, busy, steal, idle)
				}
			}
		})
	}
}

// reader reads one container, shown one CPU, in its own interval.
type reader struct {
	interval    time.Duration
	history     cputime.History
	at, since   time.Duration
	first, last cputime.Column
}

func (r *reader) advance(t *testing.T, cg *cgroupread.Cgroup, began time.Duration) {
	t.Helper()
	s := cputime.Sample{Start: began, Visible: cpulist.Of(0)}
	if err := cg.Reader(nil).CPUTime(&s.Usage); err != nil {
		t.Fatal(err)
	}
	s.Now = now(t)
	r.at, r.last = s.Now, r.history.Advance(nil, s)[0]
}

func now(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// makeLimited makes a cgroup with this many µs in each 100 ms, and removes it when
// the test ends. join are the files that take a PID in.
func makeLimited(t *testing.T, quota string) (layout *cgroupread.Layout, join []string) {
	t.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/procfs-shim-test-cputime-%d", os.Getpid())
	seen := map[string]bool{}
	for _, controller := range []string{"cpu", "cpuacct"} {
		h, err := layout.Hierarchy(controller)
		if err != nil || seen[h.Mountpoint] { // v2 has no cpuacct
			continue
		}
		seen[h.Mountpoint] = true
		dir := h.Mountpoint + path
		if h.Unified {
			write(t, h.Mountpoint+"/cgroup.subtree_control", "+cpu")
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { remove(t, dir) })
		join = append(join, dir+"/cgroup.procs")
		switch {
		case h.Unified:
			write(t, dir+"/cpu.max", quota+" 100000")
			write(t, dir+"/cpu.weight", "1000") // what it may use it must get, however busy the machine is
		case controller == "cpu":
			write(t, dir+"/cpu.cfs_period_us", "100000")
			write(t, dir+"/cpu.cfs_quota_us", quota)
			write(t, dir+"/cpu.shares", "10240")
		}
	}
	return layout, join
}

func openOf(t *testing.T, layout *cgroupread.Layout, pid int) *cgroupread.Cgroup {
	t.Helper()
	paths, err := layout.OfProcess("/proc", pid)
	if err != nil {
		t.Fatal(err)
	}
	cg, err := layout.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cg.Close() })
	return cg
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// remove removes a cgroup whose processes have just ended.
func remove(t *testing.T, dir string) {
	t.Helper()
	var err error
	for range 100 {
		if err = unix.Rmdir(dir); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("rmdir %s: %v", filepath.Base(dir), err)
	}
}

// spin starts a loop in the cgroups, and ends it with the test.
func spin(t *testing.T, join []string) (pid int) {
	t.Helper()
	loop := exec.CommandContext(t.Context(), "sh", "-c", "read go; while :; do :; done")
	start, err := loop.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = loop.Process.Kill()
		_ = loop.Wait()
	})
	for _, file := range join {
		write(t, file, fmt.Sprint(loop.Process.Pid))
	}
	if _, err := start.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	return loop.Process.Pid
}
