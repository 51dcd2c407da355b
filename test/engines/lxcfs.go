// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// LXCFS is a running LXCFS, or a program in its place.
type LXCFS struct {
	// Dir is where it is mounted: Dir/proc/meminfo and so on.
	Dir  string
	dir  string // of the pidfile and the log
	stop func()
}

// StartLXCFS mounts the distribution's LXCFS in a directory of its own.
func StartLXCFS(t testing.TB, flags ...string) *LXCFS {
	t.Helper()
	return startLXCFS(t, func(string) []string { return append([]string{testenv.RequireTool(t, "lxcfs")}, flags...) })
}

// StartAsLXCFS runs a program of ours with LXCFS's command line, and state of
// its own.
func StartAsLXCFS(t testing.TB, program string, flags ...string) *LXCFS {
	t.Helper()
	return startLXCFS(t, func(dir string) []string {
		return append([]string{program, "--runtime-dir", filepath.Join(dir, "run")}, flags...)
	})
}

func startLXCFS(t testing.TB, command func(dir string) []string) *LXCFS {
	t.Helper()
	testenv.RequireFUSE(t)
	dir, err := os.MkdirTemp("", "lxcfs")
	if err != nil {
		t.Fatal(err)
	}
	b := &base{dir: dir}
	l := &LXCFS{Dir: filepath.Join(dir, "mnt"), dir: dir}
	t.Cleanup(func() {
		b.unmountAll(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("engines: %v", err)
		}
	})
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	full := append(command(dir), "-p", filepath.Join(dir, "pid"), l.Dir)
	l.stop = b.startDaemon(t, func() error {
		_, err := os.Stat(filepath.Join(l.Dir, "proc/meminfo"))
		return err
	}, full...)
	t.Cleanup(func() {
		if l.stop != nil {
			l.stop()
		}
	})
	return l
}

// Stop ends it as its service would: its files stay where they are bound, and
// nobody answers for them any more.
func (l *LXCFS) Stop() {
	l.stop()
	l.stop = nil
}

// Signal sends it a signal, to its PID.
func (l *LXCFS) Signal(t testing.TB, signal unix.Signal) {
	t.Helper()
	if err := unix.Kill(l.pid(t), signal); err != nil {
		t.Fatal(err)
	}
}

func (l *LXCFS) pid(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	return pid(t, string(text))
}

// Kill ends it by SIGKILL.
func (l *LXCFS) Kill(t testing.TB) {
	t.Helper()
	l.Signal(t, unix.SIGKILL)
	l.Stop()
}

// Log is what it has said.
func (l *LXCFS) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "lxcfs.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
