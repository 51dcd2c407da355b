// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// Every state, and the PIDs of a container that is itself one PID namespace deep
// and has another one inside.
func TestCounts(t *testing.T) {
	h := newHost(t)
	h.task(500, 'S', 500, 1) // init
	h.task(501, 'R', 501, 7)
	h.task(502, 'R', 502, 44)
	h.task(503, 'D', 503, 12)
	h.task(504, 'I', 504, 13)
	h.task(505, 'Z', 505, 14)
	h.task(506, 'T', 506, 15)
	h.task(507, 'D', 507, 16)
	h.task(90, 'S', 90, 60, 99) // inside, after the host's PIDs began anew
	h.cgroup(507, "/elsewhere")
	s := read(t, h.engine().Watch(h, 500, time.Time{}))
	want := Sample{Loadavg: procfile.Loadavg{Load: [3]uint64{4 * fixed, 4 * fixed, 4 * fixed}, Running: 2, Total: 9, LastPID: 60}, Blocked: 2, Seen: 9, At: s.At}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// Without an init that can be read, a task's own PID counts.
func TestLastPIDWithoutInit(t *testing.T) {
	h := newHost(t)
	h.task(501, 'S', 501, 7)
	h.task(502, 'S', 502, 3, 9)
	if s := read(t, h.engine().Watch(h, 500, time.Time{})); s.Loadavg.LastPID != 9 {
		t.Errorf("last PID %d, want 9", s.Loadavg.LastPID)
	}
}

// In the host's PID namespace the host's numbers are the container's own.
func TestLastPIDOfHost(t *testing.T) {
	h := newHost(t)
	h.task(501, 'S', 501)
	h.task(502, 'S', 502, 3)
	if s := read(t, h.engine().Watch(h, 501, time.Time{})); s.Loadavg.LastPID != 502 {
		t.Errorf("last PID %d, want 502", s.Loadavg.LastPID)
	}
}

// Frozen tasks of v1 are shown in D and don't count, whichever cgroup of the
// container is frozen; those that aren't frozen do.
func TestFrozen(t *testing.T) {
	h := newHost(t)
	for tid, path := range map[int]string{
		10: "/c", 11: "/c/frozen", 12: "/c/frozen", 13: "/c/freezing", 14: "/c", 15: "/", 16: "/../beside", 17: "/gone (deleted)",
	} {
		h.task(tid, 'D', tid)
		h.cgroup(tid, path)
	}
	h.task(18, 'R', 18)
	h.cgroup(18, "/c/frozen") // on its way: R is R
	h.task(19, 'D', 19)       // its cgroup can't be read
	for path, state := range map[string]string{"c": "THAWED\n", "c/frozen": "FROZEN\n", "c/freezing": "FREEZING\n"} {
		h.write(filepath.Join(h.freezer, path, "freezer.state"), state)
	}
	h.write(filepath.Join(h.freezer, "..", "beside", "freezer.state"), "FROZEN\n")
	c := h.engine().Watch(h, 10, time.Time{})
	if s := read(t, c); s.Blocked != 6 || s.Loadavg.Running != 1 {
		t.Errorf("blocked %d, running %d; want 6, 1", s.Blocked, s.Loadavg.Running)
	}
}

// A task that ends while they are looked at isn't there.
func TestEnded(t *testing.T) {
	h := newHost(t)
	h.task(10, 'R', 10)
	h.task(11, 'R', 11)
	h.tids = append(h.tids, 0, 99, 98)
	h.write(filepath.Join(h.proc, "12", "status"), "") // no text: it ended after it was opened
	h.tids = append(h.tids, 12)
	if s := read(t, h.engine().Watch(h, 10, time.Time{})); s.Loadavg.Total != 2 || s.Loadavg.Running != 2 || s.Seen != 2 {
		t.Errorf("%+v, want two tasks", s)
	}
	h.tids = []int{98, 99}
	if s := read(t, h.engine().Watch(h, 10, time.Time{})); s.Loadavg != (procfile.Loadavg{}) || s.Blocked != 0 {
		t.Errorf("%+v of a container without tasks", s)
	}
	h.tids = nil
	if s := read(t, h.engine().Watch(h, 10, time.Time{})); s.Loadavg != (procfile.Loadavg{}) || s.Blocked != 0 {
		t.Errorf("%+v of a container without TIDs", s)
	}
}

// More tasks than a pass looks at: counts are scaled, the next passes look at
// others, and the largest PID is among them all the same.
func TestTooManyTasks(t *testing.T) {
	h := newHost(t)
	const n, running = 1500, 300
	for i := range n {
		state := byte('S')
		if i < running {
			state = 'R'
		}
		h.task(1000+i, state, 1000+i)
	}
	synctest.Test(t, func(t *testing.T) { // where a pass takes no time
		e := h.engine()
		defer func() { _ = e.Close() }()
		c := e.Watch(h, 1000, time.Time{})
		s := read(t, c)
		if s.Seen != passTasks || s.Loadavg.Total != n || s.Loadavg.LastPID != 1000+n-1 {
			t.Errorf("%+v, want %d of %d seen and %d as the largest PID", s, passTasks, n, 1000+n-1)
		}
		if r := s.Loadavg.Running; r < running*9/10 || r > running*11/10 {
			t.Errorf("%d running, want %d ± 10 %%", r, running)
		}
		if want := uint64(s.Loadavg.Running) * fixed; s.Loadavg.Load[2] < want-fixed || s.Loadavg.Load[2] > want+fixed {
			t.Errorf("load %s, want %d", loads(s), s.Loadavg.Running)
		}
		if _, most := h.passes(); most != listedForReader {
			t.Errorf("a reader's pass listed up to %d tasks, want %d", most, listedForReader)
		}
		before := next(c)
		wait(period)
		if _, most := h.passes(); next(c) == before || most != listedInSweep {
			t.Errorf("the next pass began at %d, after %d, and listed up to %d", next(c), before, most)
		}
	})
}

// next is where a container's next pass begins.
func next(c *Container) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// When time is up a few tasks are looked at nevertheless.
func TestOutOfTime(t *testing.T) {
	h := newHost(t)
	for i := range 200 {
		h.task(1000+i, 'R', 1000+i)
	}
	late := time.Unix(0, 0)
	e, err := New(Config{Proc: h.proc, Now: func() time.Time { late = late.Add(time.Hour); return late }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	s := read(t, e.Watch(h, 1000, time.Time{}))
	if s.Seen != leastSeen || s.Loadavg.Running != 200 || s.Loadavg.Total != 200 {
		t.Errorf("%+v, want %d seen, 200 of 200 running", s, leastSeen)
	}
}

func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(h *host)
		want  error
		names string
	}{
		"a status without a state": {
			func(h *host) { h.write(filepath.Join(h.proc, "10", "status"), "Name:\tx\n") }, procfile.ErrMissing, "proc/10/status",
		},
		"a status that is a directory": {
			func(h *host) {
				if err := os.Mkdir(filepath.Join(h.proc, "11"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(filepath.Join(h.proc, "11", "status"), 0o755); err != nil {
					t.Fatal(err)
				}
				h.tids = append(h.tids, 11)
			}, unix.EISDIR, "proc/11/status",
		},
		"no list": {func(h *host) { h.fail(unix.ENODEV) }, unix.ENODEV, "count tasks"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.task(10, 'R', 10)
			watched := h.engine().Watch(h, 10, time.Time{})
			c.spoil(h)
			_, err := watched.Read()
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want %v that names %s", err, c.want, c.names)
			}
			h.tids = []int{10}
			h.fail(nil)
			h.task(10, 'R', 10)
			read(t, watched) // and it goes on
		})
	}
}

// A bug in a Tasks costs an error, and keeps nobody waiting.
func TestPanic(t *testing.T) {
	h := newHost(t)
	c := h.engine().Watch(nil, 1, time.Time{})
	for range 2 {
		if _, err := c.Read(); err == nil || !strings.Contains(err.Error(), "panic") {
			t.Fatalf("error %v, want the panic", err)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	for _, config := range []Config{
		{Proc: "/nonexistent/proc", Now: time.Now},
		{Proc: "/proc", Freezer: "/nonexistent/freezer", Now: time.Now},
	} {
		if _, err := New(config); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "/nonexistent/") {
			t.Errorf("error %v, want ENOENT and the path", err)
		}
	}
}

// Readers who come during a pass wait for it, instead of making one each.
func TestOnePassForAll(t *testing.T) {
	h := newHost(t)
	h.task(10, 'R', 10)
	synctest.Test(t, func(t *testing.T) {
		release := h.hold()
		e := h.engine()
		defer func() { _ = e.Close() }()
		c := e.Watch(h, 10, time.Time{})
		results := make(chan Sample)
		for range 8 {
			go func() { results <- read(t, c) }()
		}
		synctest.Wait() // until all of them wait
		release()
		for range 8 {
			if s := <-results; s.Loadavg.Running != 1 {
				t.Errorf("%+v, want one running task", s)
			}
		}
	})
	expectPasses(t, h, 1)
}

// existing lists tasks that there are: those of this process.
type existing []int

func ownTasks(t testing.TB) existing {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	var tids existing
	for _, entry := range entries {
		tid, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		tids = append(tids, tid)
	}
	return tids
}

func (e existing) Tasks(dst []int, _ int) ([]int, bool, error) { return append(dst, e...), true, nil }

func TestRealTasks(t *testing.T) {
	e, err := New(Config{Proc: "/proc", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	s := read(t, e.Watch(ownTasks(t), os.Getpid(), time.Time{}))
	if s.Loadavg.Running < 1 || s.Loadavg.Total < 1 || s.Loadavg.LastPID < 1 {
		t.Errorf("%+v of the process that looks", s)
	}
}
