// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moby/sys/mountinfo"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// The test binary is also the programs under test: what serves a mount and
// what reads it must not be one process.
const (
	serveRole = "test-serve" // MOUNTPOINT STATEDIR: as `serve`
	runRole   = "test-run"   // DIR: as `run`, with a sleeping "container"
)

func TestMain(m *testing.M) {
	var err error
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	case OwnServerCommand:
		err = actAsOwnServer()
	case serveRole:
		err = actAsServe(os.Args[2], os.Args[3])
	case runRole:
		err = actAsRun(os.Args[2])
	default:
		m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is the main function of these programs
	}
}

// actAsOwnServer does what the hidden command does.
func actAsOwnServer() error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	return ServeOwn(ctx, TakeInherited(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// actAsServe does what `serve` does.
func actAsServe(mountpoint, state string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	return Run(ctx, Config{
		Mountpoint: mountpoint, StateDir: state, Proc: "/proc", Sys: "/sys",
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Notify: say,
	})
}

// actAsRun does what `run` does with its own server, and waits to be killed.
func actAsRun(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	own, err := SpawnOwn(self)
	if err != nil {
		return err
	}
	goruntime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := own.Mount(dir); err != nil {
		return err
	}
	init := exec.Command("sleep", "600")
	if err := init.Start(); err != nil { // from this thread, so in its mount namespace
		return err
	}
	cgroup, err := ownCgroup()
	if err != nil {
		return err
	}
	reg, err := own.Register(context.Background(), Registration{ID: "run", Cgroup: cgroup, InitPID: init.Process.Pid, Owned: true})
	if err != nil {
		return err
	}
	say(fmt.Sprint(init.Process.Pid, " ", reg.Dir))
	select {}
}

// say tells the test something.
func say(line string) {
	if _, err := os.Stdout.WriteString(line + "\n"); err != nil {
		panic(err) // nothing can be told to nobody
	}
}

func ownCgroup() (cgroupread.Paths, error) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return cgroupread.Paths{}, err
	}
	return layout.OfProcess("/proc", os.Getpid())
}

func mustCgroup(t *testing.T) cgroupread.Paths {
	t.Helper()
	p, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testDir is a short path, since a socket's may have only 107 bytes.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "daemon-") //nolint:usetesting // t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// program is a child in one of the roles above.
type program struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	log   *strings.Builder
}

func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.Command(self, args...), log: new(strings.Builder)}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Signal(unix.SIGCONT) //nolint:errcheck // it may be gone
			p.cmd.Process.Kill()               //nolint:errcheck // it may be gone
			p.cmd.Wait()                       //nolint:errcheck // killed
		}
		if t.Failed() {
			t.Logf("%v logged:\n%s", args, p.log)
		}
	})
	return p
}

// line gives the next line of its output.
func (p *program) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		err := p.cmd.Wait()
		t.Fatalf("%v ended: %v, %v\n%s", p.cmd.Args[1:], err, p.lines.Err(), p.log)
	}
	return p.lines.Text()
}

// fails waits for a program that must end with an error, and gives what it
// said.
func (p *program) fails(t *testing.T) string {
	t.Helper()
	rest, err := io.ReadAll(readerOf(p.lines))
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v: %v, want exit status 1; output %q", p.cmd.Args[1:], err, rest)
	}
	return p.log.String()
}

// readerOf gives what a scanner would still scan.
func readerOf(s *bufio.Scanner) io.Reader {
	var text strings.Builder
	for s.Scan() {
		text.WriteString(s.Text() + "\n")
	}
	return strings.NewReader(text.String())
}

// server is a running daemon.
type server struct {
	*program
	mountpoint, state string
}

func startServer(t *testing.T, mountpoint, state string) *server {
	t.Helper()
	s := &server{program: startProgram(t, serveRole, mountpoint, state), mountpoint: mountpoint, state: state}
	if line := s.line(t); line != "READY=1" {
		t.Fatalf("first notification %q", line)
	}
	return s
}

// stop ends the daemon as an init system does.
func (s *server) stop(t *testing.T) {
	t.Helper()
	start := time.Now()
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line := s.line(t); line != "STOPPING=1" {
		t.Errorf("last notification %q", line)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v to end", took)
	}
}

// read reads a file that a live server should show. A reader that hangs is
// freed by aborting the connection.
func read(t *testing.T, mountpoint, path string) (text string, err error) {
	t.Helper()
	testenv.AbortOnHang(t, mountpoint, 10*time.Second, func() {
		var b []byte
		b, err = os.ReadFile(path)
		text = string(b)
	})
	return text, err
}

// readAll reads the files of a container from where its trees are mounted, in
// directories of the root.
func readAll(t *testing.T, root string, reg Registered) {
	t.Helper()
	for _, f := range reg.Files {
		tree := "bound"
		if f == "proc/cpuinfo" || f == "sys/devices/system/cpu/online" || f == "sys/devices/system/cpu/offline" {
			tree = "static"
		}
		at := reg.Path(f)
		if !strings.HasPrefix(at, filepath.Join(root, tree)+"/") {
			t.Errorf("%s is at %s, not in the tree %s", f, at, tree)
		}
		if text, err := read(t, filepath.Join(root, tree), at); err != nil || text == "" && f != "proc/diskstats" { // it may have used no disk
			t.Errorf("%s: %q, %v", f, text, err)
		}
	}
}

// descriptors counts those of another process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// isMounted looks into the kernel's list of mounts, which asks no server.
func isMounted(t *testing.T, path string) bool {
	t.Helper()
	there, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil {
		t.Fatal(err)
	}
	return len(there) > 0
}

// gone reports whether no process has this id, or only a zombie.
func gone(pid int) bool {
	_, err := (process.Table{Root: "/proc"}).StartTime(pid)
	return errors.Is(err, process.ErrGone)
}

// notConnected is how reads of a dead server's files fail.
func notConnected(err error) bool {
	return errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNABORTED)
}
