// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package daemon

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/mountpoint"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func TestServeRegisterRead(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	client := dial(t, s.state)
	init := livingProcess(t)
	reg, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: mustCgroup(t), InitPID: pidOf(init)})
	if err != nil {
		t.Fatal(err)
	}
	bound := s.state + "/bound"
	if reg.Dir != bound+"/web" || reg.Static != s.state+"/static/web" || len(reg.Files) < 2 {
		t.Errorf("registered: %+v", reg)
	}
	readAll(t, s.state, reg)
	if text, err := read(t, s.mountpoint, s.mountpoint+"/proc/meminfo"); err != nil || !strings.HasPrefix(text, "MemTotal:") {
		t.Errorf("shared meminfo: %.40q, %v", text, err)
	}
	// A second registration changes nothing, the end of the container does.
	if again, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: mustCgroup(t), InitPID: pidOf(init)}); err != nil || again.Dir != reg.Dir {
		t.Errorf("registered again: %+v, %v", again, err)
	}
	kill(t, init)
	deadline := time.Now().Add(JanitorInterval + 5*time.Second)
	for {
		list, err := client.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the dead container is still there: %+v", list)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, f := range []string{"proc/meminfo", "proc/cpuinfo"} {
		if _, err := read(t, bound, reg.Path(f)); err == nil {
			t.Errorf("the forgotten container's %s can be read", f)
		}
	}
	s.stop(t)
	if isMounted(t, s.mountpoint) {
		t.Error("still mounted")
	}
	if _, err := os.Stat(filepath.Join(s.state, controlName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket: %v", err)
	}
}

// TestServeOwned: the daemon kills what an owner that vanished leaves.
func TestServeOwned(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	before := descriptors(t, s.cmd.Process.Pid)
	init := livingProcess(t)
	client := dial(t, s.state)
	if _, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: mustCgroup(t), InitPID: pidOf(init), Owned: true}); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the owned init process is killed", func() bool { return gone(pidOf(init)) })
	eventually(t, "the daemon holds nothing of it", func() bool { return descriptors(t, s.cmd.Process.Pid) <= before })
	s.stop(t)
}

// TestServeEndsWithFilesHeld: containers that hold our files don't keep the
// daemon from ending, and their reads fail then instead of hanging.
func TestServeEndsWithFilesHeld(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	client := dial(t, s.state)
	reg, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: mustCgroup(t), InitPID: pidOf(livingProcess(t))})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(filepath.Join(reg.Dir, "proc/meminfo"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	if n, err := unix.Pread(fd, make([]byte, 100), 0); !notConnected(err) {
		t.Errorf("read after the end: %d, %v", n, err)
	}
	if err := unix.Close(fd); err != nil && !notConnected(err) {
		t.Error(err)
	}
}

// TestServeAfterKill: what a killed daemon leaves is cleaned up by the next.
func TestServeAfterKill(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	first := startServer(t, dir+"/shared", dir+"/state")
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.cmd.Wait() //nolint:errcheck // killed
	if _, err := os.ReadDir(first.mountpoint); !notConnected(err) {
		t.Fatalf("the killed daemon's mount: %v, expected a stale one", err)
	}
	second := startServer(t, first.mountpoint, first.state)
	if text, err := read(t, second.mountpoint, second.mountpoint+"/proc/cpuinfo"); err != nil || text == "" {
		t.Errorf("shared cpuinfo: %q, %v", text, err)
	}
	second.stop(t)
	if isMounted(t, first.mountpoint) {
		t.Error("a stale mount is left below")
	}
}

func TestServeRefuses(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	if err := os.MkdirAll(dir+"/full/x", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, mountpoint, state, complaint string }{
		{"state directory in use", dir + "/shared2", dir + "/state", "another server uses this state directory"},
		{"live mount", dir + "/shared", dir + "/state2", "a live fuse.procfs-shim file system is mounted there"},
		{"mountpoint not empty", dir + "/full", dir + "/state3", `has "x" in it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if text := startProgram(t, serveRole, tt.mountpoint, tt.state).fails(t); !strings.Contains(text, tt.complaint) {
				t.Errorf("it says %q, want %q", text, tt.complaint)
			}
			// The bound tree was mounted first, and must be gone again.
			if tt.state == s.state {
				return
			}
			if isMounted(t, tt.state+"/bound") || isMounted(t, tt.state+"/static") {
				t.Error("a bound tree is left mounted")
			}
		})
	}
	t.Run("stopped server", func(t *testing.T) {
		if err := s.cmd.Process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		text := startProgram(t, serveRole, dir+"/shared", dir+"/state4").fails(t)
		if err := s.cmd.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "doesn't answer") {
			t.Errorf("it says %q", text)
		}
	})
	// None of it harmed the first one.
	if text, err := read(t, s.mountpoint, s.mountpoint+"/proc/meminfo"); err != nil || text == "" {
		t.Errorf("shared meminfo: %q, %v", text, err)
	}
	s.stop(t)
}

// TestServeUnmountedByOthers: a daemon whose tree is gone ends with an error,
// so that a service manager starts it anew.
func TestServeUnmountedByOthers(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	for _, tree := range []string{"shared", "state/bound", "state/static"} {
		dir := testDir(t)
		s := startServer(t, dir+"/shared", dir+"/state")
		if err := unix.Unmount(filepath.Join(dir, tree), 0); err != nil {
			t.Fatal(err)
		}
		if text := s.fails(t); !strings.Contains(text, mountpoint.ErrUnmounted.Error()) || !strings.Contains(text, tree) {
			t.Errorf("%s: it says %q", tree, text)
		}
	}
}

// TestServeManyConnects: hasty, silent and mad clients leave no trace.
func TestServeManyConnects(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	before := descriptors(t, s.cmd.Process.Pid)
	socket := filepath.Join(s.state, controlName)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 250 {
				conn, err := net.Dial("unix", socket)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				switch (worker + i) % 3 {
				case 0: // says nothing
				case 1: // goes in the middle of a line
					io.WriteString(conn, `{"op":"li`) //nolint:errcheck // the server may have closed
				case 2: // doesn't wait for its answer
					io.WriteString(conn, "{\"op\":\"list\"}\n\n{{{\n") //nolint:errcheck // as above
				}
				conn.Close() //nolint:errcheck // as above
			}
		})
	}
	wg.Wait()
	if list, err := dial(t, s.state).List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %+v, %v", list, err)
	}
	eventually(t, "the connections are gone", func() bool { return descriptors(t, s.cmd.Process.Pid) <= before+1 })
	s.stop(t)
}

// TestServeManyContainers: a container costs descriptors of its cgroup, and
// nothing of it stays.
func TestServeManyContainers(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	before := descriptors(t, s.cmd.Process.Pid)
	client := dial(t, s.state)
	cgroup, pid := mustCgroup(t), pidOf(livingProcess(t))
	const n = 200
	for i := range n {
		if _, err := client.Register(t.Context(), Registration{ID: "c" + strings.Repeat("x", i), Cgroup: cgroup, InitPID: pid}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d containers: %d descriptors", n, descriptors(t, s.cmd.Process.Pid)-before)
	list, err := client.List(t.Context())
	if err != nil || len(list) != n {
		t.Fatalf("list: %d, %v", len(list), err)
	}
	for _, c := range list {
		if err := client.Unregister(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "their descriptors are closed", func() bool { return descriptors(t, s.cmd.Process.Pid) <= before+1 })
	s.stop(t)
}

// TestServePolicy: a choice shows at once in a file that is held, and in the
// server's own account; reads in between never fail.
func TestServePolicy(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.RequireCPUs(t, 2)
	testenv.NoLeaks(t)
	cgroup := served.NewCgroup(t, "daemon-policy")
	cgroup.SetCPUs(1)
	dir := testDir(t)
	s := startServer(t, dir+"/shared", dir+"/state")
	client := dial(t, s.state)
	r := Registration{ID: "web", InitPID: pidOf(livingProcess(t))}
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	cgroup.Join(r.InitPID)
	if r.Cgroup, err = layout.OfProcess("/proc", r.InitPID); err != nil {
		t.Fatal(err)
	}
	reg, err := client.Register(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(filepath.Join(reg.Dir, "sys/devices/system/cpu/online"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	all, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ view, want string }{{"quota", "0\n"}, {"cpuset", string(all)}, {"quota", "0\n"}, {"host", string(all)}} {
		r.Choices = policy.Choices{"cpu-view": step.view}
		if got, err := client.Register(t.Context(), r); err != nil || got.Policy.CPUView.String() != step.view || got.Dir != reg.Dir {
			t.Fatalf("%s: %+v, %v", step.view, got, err)
		}
		b := make([]byte, 100)
		n, err := unix.Pread(fd, b, 0)
		if err != nil || string(b[:n]) != step.want {
			t.Errorf("%s: CPUs %q, %v, want %q", step.view, b[:max(n, 0)], err, step.want)
		}
	}
	if about, err := client.Server(t.Context()); err != nil || about.Containers != 1 || about.PID != s.cmd.Process.Pid || about.Mountpoint != s.mountpoint {
		t.Errorf("server: %+v, %v", about, err)
	}
	s.stop(t)
}
