// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package load

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// These tests count tasks of the real kernel, in cgroups of their own.

// roleVariable makes this binary a task to be counted.
const roleVariable = "PROCFS_SHIM_TEST_LOAD_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		waitForChild()
		return
	}
	m.Run()
}

// waitForChild waits, as the parent in a vfork(2) does, for a child that sleeps
// until this process is killed. If it returns, there is no such child.
func waitForChild() {
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is in its cgroup
	pid, _, err := syscall.RawSyscall6(syscall.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if pid != 0 || err != 0 {
		return
	}
	// The child has this one thread of Go's: system calls are all it may do.
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	for {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// What a process of a place does.
const (
	spins  = "read x; while :; do :; done"
	sleeps = "read x; read y"
)

// A place is a cgroup, in the hierarchies that matter here, with a cgroup
// "inside" below it.
type place struct {
	t      *testing.T
	layout *cgroupread.Layout
	dirs   []string
}

func newPlace(t *testing.T) *place {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, layout: layout}
	controllers := []string{"memory", "freezer"}
	if layout.Mode() == cgroupread.V2 {
		controllers = []string{""}
	}
	for _, controller := range controllers {
		h, err := layout.Hierarchy(controller)
		if err != nil {
			t.Fatal(err)
		}
		dir := h.Mountpoint + "/procfs-shim-test-load-" + strconv.Itoa(os.Getpid())
		p.dirs = append(p.dirs, dir)
		if err := os.MkdirAll(dir+"/inside", 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.remove(dir+"/inside", dir) })
	}
	return p
}

// remove removes cgroups whose last tasks were killed, which takes a moment.
func (p *place) remove(dirs ...string) {
	for _, dir := range dirs {
		err := unix.Rmdir(dir)
		for deadline := time.Now().Add(5 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); err = unix.Rmdir(dir) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			p.t.Errorf("rmdir %s: %v", dir, err)
		}
	}
}

// start starts a process in the place, or in "inside" below it.
func (p *place) start(cmd *exec.Cmd, below string) int {
	p.t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "killed" is how it is to end
	})
	for _, dir := range p.dirs {
		p.write(filepath.Join(dir, below, "cgroup.procs"), strconv.Itoa(cmd.Process.Pid))
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		p.t.Fatal(err)
	}
	return cmd.Process.Pid
}

func (p *place) shell(script, below string) int {
	p.t.Helper()
	return p.start(exec.Command(testenv.RequireTool(p.t, "sh"), "-c", script), below)
}

// vfork starts a process that is in D.
func (p *place) vfork(below string) int {
	p.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=vfork")
	return p.start(cmd, below)
}

// freeze freezes the place, or thaws it.
func (p *place) freeze(frozen bool) {
	p.t.Helper()
	dir := p.dirs[len(p.dirs)-1]
	file, states := dir+"/freezer.state", map[bool]string{true: "FROZEN\n", false: "THAWED\n"}
	events := file
	if p.layout.Mode() == cgroupread.V2 {
		file, states = dir+"/cgroup.freeze", map[bool]string{true: "1", false: "0"}
		events = dir + "/cgroup.events"
	}
	p.write(file, states[frozen])
	p.until("frozen", func() bool {
		text, err := os.ReadFile(events)
		if err != nil {
			p.t.Fatal(err)
		}
		if events == file {
			return string(text) == states[frozen]
		}
		return strings.Contains(string(text), "frozen "+states[frozen])
	})
}

func (p *place) write(file, text string) {
	p.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) until(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not %s after 10 s", what)
		}
	}
}

// watch watches the place whose init is pid, by a clock that only advance moves.
func (p *place) watch(pid int) (c *Container, advance func(time.Duration)) {
	p.t.Helper()
	paths, err := p.layout.OfProcess("/proc", pid)
	if err != nil {
		p.t.Fatal(err)
	}
	cgroup, err := p.layout.Open(paths)
	if err != nil {
		p.t.Fatal(err)
	}
	begun := time.Now()
	var gone atomic.Int64
	config := Config{Proc: "/proc", Now: func() time.Time { return begun.Add(time.Duration(gone.Load())) }}
	if h, err := p.layout.Hierarchy("freezer"); err == nil {
		config.Freezer = h.Mountpoint
	}
	e, err := New(config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := errors.Join(e.Close(), cgroup.Close()); err != nil {
			p.t.Error(err)
		}
	})
	return e.Watch(cgroup.Reader(nil), pid, begun), func(d time.Duration) { gone.Add(int64(d)) }
}

// expect waits until a pass finds so many tasks running and blocked.
func (p *place) expect(c *Container, running, blocked int) Sample {
	p.t.Helper()
	var s Sample
	p.until(strconv.Itoa(running)+" running and "+strconv.Itoa(blocked)+" blocked", func() bool {
		var err error
		if s, err = c.pass(listedInSweep, passTime); err != nil {
			p.t.Fatal(err)
		}
		return s.Loadavg.Running == running && s.Blocked == blocked
	})
	return s
}

// Spinning tasks, sleeping ones, and one in D, in a cgroup and the one below.
// The averages, whose clock is driven, follow.
func TestCountsOfTheKernel(t *testing.T) {
	p := newPlace(t)
	init := p.shell(spins, "")
	p.shell(spins, "inside")
	p.shell(spins, "inside")
	p.shell(sleeps, "")
	c, advance := p.watch(init)
	if s := p.expect(c, 3, 0); s.Loadavg.Total != 4 || s.Seen != 4 || loads(s) != "0.00 0.00 0.00" {
		t.Errorf("%+v, load %s; want 4 tasks, and no load yet", s, loads(s))
	}
	p.vfork("inside")
	p.expect(c, 3, 1)
	var want averages
	for range 12 {
		advance(period)
		s, err := c.pass(listedInSweep, passTime)
		if err != nil {
			t.Fatal(err)
		}
		// Now and then a thread of Go's in the vforked process runs, too.
		active := s.Loadavg.Running + s.Blocked
		want = want.after(1, uint64(active)*fixed)
		if active < 4 || s.Loadavg.Load != want {
			t.Fatalf("%+v, load %s; want at least 4 tasks and %v/2048", s, loads(s), want)
		}
	}
	advance(3 * time.Hour)
	s := read(t, c)
	active := uint64(s.Loadavg.Running+s.Blocked) * fixed
	if s.Loadavg.Load != [3]uint64{active, active, active} {
		t.Errorf("load %s after three hours of %d tasks", loads(s), active/fixed)
	}
}

// A frozen container has no load; a task that waits for its vforked child goes
// on to count on v2, where the kernel too counts it.
func TestFrozenByTheKernel(t *testing.T) {
	p := newPlace(t)
	init := p.shell(spins, "")
	p.shell(sleeps, "inside")
	c, _ := p.watch(init)
	p.expect(c, 1, 0)
	p.freeze(true)
	p.expect(c, 0, 0)
	p.freeze(false)
	p.expect(c, 1, 0)
	p.vfork("")
	p.expect(c, 1, 1)
	p.freeze(true)
	if p.layout.Mode() == cgroupread.V2 {
		p.expect(c, 0, 1)
	} else {
		p.expect(c, 0, 0)
	}
	p.freeze(false)
	p.expect(c, 1, 1)
}

// The largest PID is told as the container's init knows it.
func TestLastPIDOfTheKernel(t *testing.T) {
	p := newPlace(t)
	cmd := exec.Command(testenv.RequireTool(t, "sh"), "-c", "read x; sleep 1000 & sleep 1000 & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	init := p.start(cmd, "")
	c, advance := p.watch(init)
	p.until("three processes", func() bool {
		advance(period)
		s, err := c.pass(listedInSweep, passTime)
		return err == nil && s.Loadavg.Total == 3 && s.Loadavg.LastPID == 3
	})
}

// A removed cgroup is an error that says so.
func TestGone(t *testing.T) {
	p := newPlace(t)
	cmd := exec.Command(testenv.RequireTool(t, "sh"), "-c", sleeps)
	init := p.start(cmd, "inside")
	c, advance := p.watch(init)
	if s := read(t, c); s.Loadavg.Total != 1 {
		t.Errorf("%d tasks, want 1", s.Loadavg.Total)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, dir := range p.dirs {
		p.remove(dir + "/inside")
	}
	advance(time.Minute)
	if _, err := c.Read(); !errors.Is(err, cgroupread.ErrGone) {
		t.Errorf("error %v, want ErrGone", err)
	}
	for _, dir := range p.dirs { // for the clean-up
		if err := os.Mkdir(dir+"/inside", 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
