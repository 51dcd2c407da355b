// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// server is a running `serve`.
type server struct {
	*process
	mountpoint string
	notify     int // the service manager's end of its notification socket
}

// serve starts a daemon and waits until it is ready; it is stopped with the
// test.
func (p *program) serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return p.serveAt(t, filepath.Join(filepath.Dir(p.state), "shared"), flags...)
}

func (p *program) serveAt(t *testing.T, mountpoint string, flags ...string) *server {
	t.Helper()
	s := &server{mountpoint: mountpoint}
	address := filepath.Join(t.TempDir(), "notify")
	var err error
	s.notify, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.notify) })
	if err := unix.Bind(s.notify, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	cmd := p.command(append(append([]string{"serve"}, flags...), mountpoint)...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address)
	s.process = begin(t, cmd)
	s.patience = 0 // it doesn't read
	s.notified(t, "READY=1")
	return s
}

// notified waits for what the service manager is told next.
func (s *server) notified(t *testing.T, want string) {
	t.Helper()
	b := make([]byte, 100)
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Read(s.notify, b[:cap(b)])
		if err == nil {
			if got := string(b[:n]); got != want {
				t.Fatalf("the service manager is told %q, not %q", got, want)
			}
			return
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		if s.hasEnded() || time.Now().After(deadline) {
			t.Fatalf("no %q; stderr: %s", want, s.errs.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fuseMounts are the mount points of our trees in this mount namespace.
func fuseMounts(t *testing.T) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(file(t, "/proc/self/mountinfo")) {
		if strings.Contains(line, " - fuse.procfs-shim ") {
			found = append(found, fields(line)[4])
		}
	}
	return found
}

func count(list []string, what string) int {
	n := 0
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// TestServe starts a daemon and ends it with either signal.
func TestServe(t *testing.T) {
	p := setup(t)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		s := p.serve(t)
		if n := count(fuseMounts(t), s.mountpoint); n != 1 {
			t.Errorf("%d mounts at %s: %v", n, s.mountpoint, fuseMounts(t))
		}
		for _, name := range []string{"proc/meminfo", "proc/cpuinfo", "sys/devices/system/cpu/online"} {
			path := filepath.Join(s.mountpoint, name)
			if got, kernel := readWithin(t, patience, path), file(t, "/"+name); len(got) == 0 || len(got) > 2*len(kernel) {
				t.Errorf("%s: %q", path, got)
			}
			if err := os.WriteFile(path, []byte("x"), 0); !errors.Is(err, unix.EROFS) {
				t.Errorf("write to %s: %v, want EROFS", path, err)
			}
		}
		if report := p.status(t); !report.ServerRunning {
			t.Error("status: no server is running")
		}
		s.signal(t, sig)
		s.notified(t, "STOPPING=1")
		if status := s.wait(t); status != 0 {
			t.Errorf("%v: exit status %d; stderr: %s", sig, status, s.errs.String())
		}
		if left := fuseMounts(t); count(left, s.mountpoint) != 0 || strings.Contains(strings.Join(left, " "), p.state) {
			t.Errorf("%v: still mounted: %v", sig, left)
		}
		if p.status(t).ServerRunning {
			t.Errorf("%v: status: a server is running", sig)
		}
	}
}

// TestServeStale: a killed daemon leaves mounts that answer ENOTCONN; the next
// one cleans them up.
func TestServeStale(t *testing.T) {
	p := setup(t)
	for range 3 {
		s := p.serve(t)
		if n := count(fuseMounts(t), s.mountpoint); n != 1 {
			t.Errorf("%d mounts at %s", n, s.mountpoint)
		}
		s.signal(t, unix.SIGKILL)
		s.wait(t)
		if _, err := os.ReadFile(s.mountpoint + "/proc/meminfo"); !errors.Is(err, unix.ENOTCONN) {
			t.Errorf("the killed daemon's tree: %v, want ENOTCONN", err)
		}
	}
	s := p.serve(t)
	readWithin(t, patience, s.mountpoint+"/proc/meminfo")
	s.signal(t, unix.SIGTERM)
	if status := s.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, at := range fuseMounts(t) {
		if strings.HasPrefix(at, filepath.Dir(p.state)) {
			t.Errorf("still mounted: %s", at)
		}
	}
}

// TestServeRefused: what can't be served at or from.
func TestServeRefused(t *testing.T) {
	p := setup(t)
	s := p.serve(t)
	other := &program{p.path, filepath.Join(filepath.Dir(p.state), "other-state"), p.data}
	other.do(t, "serve", s.mountpoint).refused(t, 1, s.mountpoint, "live")
	p.do(t, "serve", filepath.Join(filepath.Dir(p.state), "elsewhere")).refused(t, 1, p.state, "another server uses")
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	other.do(t, "serve", plain).refused(t, 1, plain, "directory")
	other.do(t, "serve", plain+"/below").refused(t, 1, plain)
	// The first goes on, untouched.
	readWithin(t, patience, s.mountpoint+"/proc/meminfo")
	if got := count(fuseMounts(t), s.mountpoint); got != 1 {
		t.Errorf("%d mounts at %s", got, s.mountpoint)
	}
}

// TestServeLog reads a log as a machine does.
func TestServeLog(t *testing.T) {
	p := setup(t)
	s := p.serve(t, "--log-format", "json", "--log-level", "debug")
	p.run(t, "--name", "logged", "--", "true").text(t)
	s.signal(t, unix.SIGTERM)
	s.wait(t)
	seen := false
	for line := range strings.Lines(s.errs.String()) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "" || record.Time == "" || record.Level == "" {
			t.Errorf("not a record: %q: %v", line, err)
		}
		seen = seen || strings.Contains(line, "logged")
	}
	if !seen {
		t.Errorf("nothing of the container in the log:\n%s", s.errs.String())
	}
	quiet := p.serve(t, "--log-level", "error")
	quiet.signal(t, unix.SIGTERM)
	quiet.wait(t)
	if quiet.errs.String() != "" {
		t.Errorf("--log-level error: %s", quiet.errs.String())
	}
}

// TestSharedTree binds the shared tree into containers, as LXCFS's users do:
// each reader sees its own container.
func TestSharedTree(t *testing.T) {
	p := setup(t)
	s := p.serve(t)
	if got, want := memTotal(t, readWithin(t, patience, s.mountpoint+"/proc/meminfo")), host(t).memTotal; got != want {
		t.Errorf("a process of the host sees %d kB, not %d", got, want)
	}
	a := p.shell(t, "one", "--memory", "64m", "-v", s.mountpoint+":/lxcfs")
	b := p.shell(t, "two", "--memory", "128m", "--cpus", "1", "-v", s.mountpoint+":/lxcfs")
	for range 3 {
		for _, c := range []struct {
			*shell
			want int
		}{{a, 65536}, {b, 131072}} {
			if got := memTotal(t, c.ask(t, "cat /lxcfs/proc/meminfo")); got != c.want {
				t.Errorf("%s sees %d kB, want %d", c.name, got, c.want)
			}
		}
	}
	if got := b.ask(t, "grep -c ^processor /lxcfs/proc/cpuinfo; cat /lxcfs/sys/devices/system/cpu/online"); got != "1\n0" {
		t.Errorf("b sees CPUs %q", got)
	}
	a.leave(t)
	b.leave(t)
}

// TestDaemonUsed: `run` registers with the daemon that is there and starts no
// server of its own.
func TestDaemonUsed(t *testing.T) {
	p := setup(t)
	p.serve(t)
	before, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	s := p.shell(t, "registered", "--memory", "96m")
	if got := s.views(t).memTotal; got != 98304 {
		t.Errorf("it sees %d kB", got)
	}
	for _, what := range ours(t, before) {
		if strings.Contains(what, "own-server") {
			t.Errorf("it has a server of its own: %s", what)
		}
	}
	c := p.statusOf(t, s.name)
	if c.State != "healthy" || len(c.Files) != len(usual()) || c.Engine != "procfs-shim" {
		t.Errorf("status: %+v", c)
	}
	var daemon, inside unix.Stat_t
	if err := unix.Stat(p.state+"/bound", &daemon); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/root/proc/meminfo", c.InitPID), &inside); err != nil {
		t.Fatal(err)
	}
	if daemon.Dev != inside.Dev {
		t.Error("its views are not the daemon's")
	}
	if text := p.do(t, "status").text(t); !strings.Contains(text, s.name) || !strings.Contains(text, "healthy") {
		t.Errorf("status as a table:\n%s", text)
	}
	s.leave(t)
	for _, c := range p.status(t).Containers {
		if c.ID == s.name {
			t.Errorf("status after its end: %+v", c)
		}
	}
}
