// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// LXCFS is a running LXCFS, or a program in its place.
type LXCFS struct {
	// Dir is where it is mounted: Dir/proc/meminfo and so on.
	Dir  string
	stop func()
}

// StartLXCFS mounts the distribution's LXCFS in a directory of its own.
func StartLXCFS(t testing.TB, flags ...string) *LXCFS {
	t.Helper()
	return StartAsLXCFS(t, testenv.RequireTool(t, "lxcfs"), flags...)
}

// StartAsLXCFS runs a program with LXCFS's command line.
func StartAsLXCFS(t testing.TB, program string, flags ...string) *LXCFS {
	t.Helper()
	testenv.RequireFUSE(t)
	dir, err := os.MkdirTemp("", "lxcfs")
	if err != nil {
		t.Fatal(err)
	}
	b := &base{dir: dir}
	l := &LXCFS{Dir: filepath.Join(dir, "mnt")}
	t.Cleanup(func() {
		b.unmountAll(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("engines: %v", err)
		}
	})
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	command := append([]string{program}, flags...)
	command = append(command, "-p", filepath.Join(dir, "pid"), l.Dir)
	l.stop = b.startDaemon(t, func() error {
		_, err := os.Stat(filepath.Join(l.Dir, "proc/meminfo"))
		return err
	}, command...)
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

// Kill ends it by SIGKILL to its PID.
func (l *LXCFS) Kill(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(l.Dir), "pid"))
	if err != nil {
		t.Fatal(err)
	}
	n := pid(t, string(text))
	if err := unix.Kill(n, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if errors.Is(unix.Kill(n, 0), unix.ESRCH) {
			break
		}
	}
	l.Stop()
}
