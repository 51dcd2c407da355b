// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// In these tests the clock is synctest's: it advances when every goroutine
// waits, so that hours pass in no time, and reading files takes none.

// wait lets time pass, and what is due then end.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// ticking says whether anything is sampled, or will be.
func (e *Engine) ticking() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.timer != nil || len(e.sampled) != 0
}

// watched runs a test of one container on a host with a running task, which
// started so long ago.
func watched(t *testing.T, age time.Duration, test func(t *testing.T, h *host, c *Container)) {
	h := newHost(t)
	h.task(10, 'S', 10)
	h.task(11, 'R', 11)
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Config{Proc: h.proc, Freezer: h.freezer, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		test(t, h, e.Watch(h, 10, time.Now().Add(-age)))
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

func expectLoads(t *testing.T, c *Container, want string) {
	t.Helper()
	if got := loads(read(t, c)); got != want {
		t.Errorf("load %s, want %s", got, want)
	}
}

// A container that was just started begins at 0 and rises as the kernel's
// averages do after boot: 1−1/e of the load after a minute in the first column.
func TestRises(t *testing.T) {
	watched(t, 0, func(t *testing.T, _ *host, c *Container) {
		expectLoads(t, c, "0.00 0.00 0.00")
		wait(5*time.Second + time.Millisecond)
		expectLoads(t, c, "0.08 0.02 0.01")
		wait(55 * time.Second)
		expectLoads(t, c, "0.63 0.18 0.06")
		for range 60 {
			wait(time.Minute)
			read(t, c)
		}
		expectLoads(t, c, "1.00 1.00 1.00")
	})
}

// One that has long been busy says so at the first read.
func TestFirstReadOfABusyContainer(t *testing.T) {
	watched(t, 3*time.Hour, func(t *testing.T, h *host, c *Container) {
		expectLoads(t, c, "1.00 1.00 1.00")
		expectPasses(t, h, 1)
	})
	watched(t, 5*time.Minute, func(t *testing.T, _ *host, c *Container) {
		expectLoads(t, c, "1.00 0.64 0.29")
	})
}

// Sampling goes on for 5 minutes after a read, each 5 s, and then there is no
// timer; the averages of a later read contain the pause with the tasks of then.
func TestPause(t *testing.T) {
	watched(t, 0, func(t *testing.T, h *host, c *Container) {
		read(t, c)
		wait(interest + time.Second)
		expectPasses(t, h, 1+int(interest/period))
		wait(time.Minute)
		if c.engine.ticking() {
			t.Error("still sampled a minute later")
		}
		wait(24 * time.Hour)
		expectPasses(t, h, 1+int(interest/period))
		h.task(11, 'S', 11)
		expectLoads(t, c, "0.00 0.00 0.00")
		h.task(11, 'R', 11)
		wait(12 * time.Second)
		expectLoads(t, c, "0.15 0.03 0.01") // two steps
	})
}

// A sample is at most as old as stated, and whole.
func TestFreshness(t *testing.T) {
	watched(t, time.Hour, func(t *testing.T, _ *host, c *Container) {
		for step := range 2000 {
			s := read(t, c)
			if age := time.Since(s.At); age > fresh {
				t.Fatalf("step %d: %v old", step, age)
			}
			wait(time.Duration(step%97) * 100 * time.Millisecond)
		}
	})
}

// Reads between samples make no passes, and no garbage.
func TestReadsBetweenSamples(t *testing.T) {
	watched(t, time.Hour, func(t *testing.T, h *host, c *Container) {
		if n := testing.AllocsPerRun(1000, func() { read(t, c) }); n != 0 {
			t.Errorf("%v allocations per read", n)
		}
		expectPasses(t, h, 1)
	})
}

// However the reads fall, the steps are as many as there were periods.
func TestStepsKeepTime(t *testing.T) {
	watched(t, 0, func(t *testing.T, _ *host, c *Container) {
		begun := time.Now()
		steps := averages{}
		for i := range 400 {
			wait(time.Duration(1+i*7919%4711) * time.Millisecond)
			read(t, c)
		}
		steps = steps.after(periods(time.Since(begun)), fixed)
		near := averages(read(t, c).Loadavg.Load)
		for i := range steps {
			if d := int64(near[i]) - int64(steps[i]); d > fixed/20 || d < -fixed/20 {
				t.Errorf("average %d is %d after %v, want %d", i, near[i], time.Since(begun), steps[i])
			}
		}
	})
}

// A container that can't be read isn't sampled, each read says why, and one that
// succeeds begins anew.
func TestFailures(t *testing.T) {
	watched(t, time.Hour, func(t *testing.T, h *host, c *Container) {
		read(t, c)
		h.fail(unix.ENODEV)
		wait(20 * time.Second)
		expectPasses(t, h, 2) // one that fails ends the sampling
		for range 3 {
			if _, err := c.Read(); !errors.Is(err, unix.ENODEV) {
				t.Errorf("error %v, want ENODEV", err)
			}
		}
		h.fail(nil)
		expectLoads(t, c, "1.00 1.00 1.00")
		wait(time.Minute)
		expectPasses(t, h, 2+3+1+12) // one each 5 s again
	})
}

func TestForget(t *testing.T) {
	watched(t, time.Hour, func(t *testing.T, h *host, c *Container) {
		read(t, c)
		c.Forget()
		c.Forget()
		wait(time.Minute)
		expectPasses(t, h, 1)
		// A read that was on its way when the container went.
		expectLoads(t, c, "1.00 1.00 1.00")
		wait(time.Minute)
		expectPasses(t, h, 2)
		if c.engine.ticking() {
			t.Error("a forgotten container is sampled")
		}
	})
}

func TestClose(t *testing.T) {
	watched(t, time.Hour, func(t *testing.T, h *host, c *Container) {
		read(t, c)
		for range 2 {
			if err := c.engine.Close(); err != nil {
				t.Error(err)
			}
		}
		wait(time.Minute)
		if _, err := c.Read(); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		expectPasses(t, h, 1)
	})
}

// A sweep that takes longer than a period (the machine is overloaded) is
// followed by a pause, and no time is lost in the averages.
func TestSlowSweep(t *testing.T) {
	watched(t, 0, func(t *testing.T, h *host, c *Container) {
		read(t, c)
		release := h.hold()
		wait(22 * time.Second)
		release()
		wait(30 * time.Second)
		steps := averages{}.after(10, fixed)
		if got := averages(read(t, c).Loadavg.Load); got != steps {
			t.Errorf("%v, want %v: ten steps", got, steps)
		}
	})
}

// Containers that nobody reads cost nothing at all, and those that were read
// cost nothing once five minutes have passed.
func TestIdleContainers(t *testing.T) {
	h := newHost(t)
	h.task(10, 'R', 10)
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Config{Proc: h.proc, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		containers := make([]*Container, 500)
		for i := range containers {
			containers[i] = e.Watch(h, 10, time.Time{})
		}
		wait(time.Hour)
		expectPasses(t, h, 0)
		for _, c := range containers {
			read(t, c)
		}
		wait(interest + 2*period)
		if e.ticking() {
			t.Error("still sampled after 5 minutes without a reader")
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}
