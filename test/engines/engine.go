// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// patience is how long an engine may take for one thing, on a busy machine.
const patience = 60 * time.Second

// Options say what kind of container is wanted.
type Options struct {
	Name    string   // as users name it
	Memory  int64    // limit in bytes; 0 for none
	HostPID bool     // in the host's PID namespace; docker and podman only
	Command []string // in the container; sleep for as long as the test runs if nil
	Flags   []string // further flags of the engine's own run command
}

func (o Options) command() []string {
	if o.Command != nil {
		return o.Command
	}
	return []string{"/bin/sleep", "100000"}
}

// Running is a container that was started.
type Running struct {
	ID      string // as the engine prints it in full
	Name    string
	InitPID int
}

// Engine is any of them.
type Engine interface {
	// Name is what package discover calls it.
	Name() string
	// Run starts a container and returns when its command runs.
	Run(t testing.TB, o Options) Running
	// Exec runs a command in a container and returns what it prints.
	Exec(t testing.TB, c Running, command ...string) string
	// Remove kills a container and removes it.
	Remove(t testing.TB, c Running)
}

// base is what the engines have in common: a directory and a way to run their
// commands.
type base struct {
	dir    string   // all state; short, since sockets' paths may have 107 bytes
	rootfs string   // an unpacked busybox
	prefix []string // put before each command
}

// newBase makes the directory and sees to it that nothing is left of what works
// in it. cgroups are the names in each hierarchy's root that the engine makes.
func newBase(t testing.TB, cgroups ...string) *base {
	t.Helper()
	testenv.RequireRoot(t)
	dir, err := os.MkdirTemp("", "eng")
	if err != nil {
		t.Fatal(err)
	}
	b := &base{dir: dir, rootfs: filepath.Join(dir, "rootfs")}
	before := cgroupDirs(cgroups)
	t.Cleanup(func() {
		b.endProcesses(t)
		b.unmountAll(t)
		for path := range cgroupDirs(cgroups) {
			if !before[path] {
				removeCgroup(t, path)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("engines: remove state: %v", err)
		}
	})
	makeRootfs(t, b.rootfs)
	return b
}

// makeRootfs lays out busybox with a link for each of its programs.
func makeRootfs(t testing.TB, dir string) {
	t.Helper()
	busybox := testenv.RequireTool(t, "busybox")
	for _, d := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatalf("engines: busybox --list: %v", err)
	}
	for _, name := range strings.Fields(string(list)) {
		if name == "busybox" {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// tarball packs the root file system for an import command.
func (b *base) tarball(t testing.TB) string {
	t.Helper()
	path := filepath.Join(b.dir, "rootfs.tar")
	b.run(t, "tar", "-C", b.rootfs, "-cf", path, ".")
	return path
}

// run runs a command, which must succeed, and returns what it prints on stdout.
func (b *base) run(t testing.TB, command ...string) string {
	t.Helper()
	out, err := b.try(command...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try runs a command. Output goes through files: a daemon that inherits a pipe
// would keep its reader waiting.
func (b *base) try(command ...string) (string, error) {
	stdout, err := os.CreateTemp(b.dir, "out")
	if err != nil {
		return "", err
	}
	defer stdout.Close()
	stderr, err := os.CreateTemp(b.dir, "err")
	if err != nil {
		return "", err
	}
	defer stderr.Close()
	full := append(append([]string{}, b.prefix...), command...)
	cmd := exec.Command(full[0], full[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Dir = b.dir
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("engines: %w", err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	failed := cmd.Wait()
	timer.Stop()
	out, err := os.ReadFile(stdout.Name())
	if err != nil {
		return "", err
	}
	if failed != nil {
		said, err := os.ReadFile(stderr.Name())
		if err != nil {
			return "", err
		}
		return string(out), fmt.Errorf("engines: %q: %w: %s", full, failed, said)
	}
	return string(out), nil
}

// startDaemon starts a program that runs until stop is called, and waits until
// ready succeeds. It ends with the test process, however that ends.
func (b *base) startDaemon(t testing.TB, ready func() error, command ...string) (stop func()) {
	t.Helper()
	logName := filepath.Join(b.dir, filepath.Base(command[0])+".log")
	log, err := os.Create(logName)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, b.dir
	ended := make(chan error, 1)
	started := make(chan error)
	go superviseDaemon(cmd, started, ended)
	if err := <-started; err != nil {
		t.Fatalf("engines: start %s: %v", command[0], err)
	}
	stop = func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("engines: %s doesn't end at SIGTERM", command[0])
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ready()
		if err == nil {
			return stop
		}
		select {
		case failed := <-ended:
			t.Fatalf("engines: %s ended: %v: %s", command[0], failed, tail(logName))
		default:
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("engines: %s isn't ready: %v: %s", command[0], err, tail(logName))
		}
	}
}

func tail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return string(text[max(0, len(text)-most):])
}

// pid parses what an engine prints for an init process.
func pid(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n <= 0 {
		t.Fatalf("engines: %q is no PID: %v", text, err)
	}
	return n
}

// commandLine is a process' arguments, nil once it ended.
func commandLine(pid int) []byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(text, []byte{0}, []byte{' '})
}
