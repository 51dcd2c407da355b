// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
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

// server is `procfs-shim serve`.
type server struct {
	program, state string
	shared         string // the shared tree's mountpoint
}

// serve starts the program and waits until it serves; it ends with the test. In
// the end nothing may be left of it, nor of what the test made.
func serve(t *testing.T) server {
	t.Helper()
	testenv.RequireFUSE(t)
	program := testenv.Binary(t)
	testenv.NoLeaks(t)
	dir := t.TempDir()
	// Users of other namespaces come here, too.
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { //nolint:gosec // there is nothing in it but mountpoints
		t.Fatal(err)
	}
	s := server{program, filepath.Join(dir, "state"), filepath.Join(dir, "shared")}
	cmd := exec.Command(program, "serve", "--state-dir", s.state, s.shared)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil || strings.Contains(errs.String(), "level=ERROR") {
			t.Errorf("serve: %v: %s", err, errs.String())
		}
	})
	until(t, "the shared tree is there", func() bool {
		_, err := os.Stat(s.shared + "/proc/meminfo")
		return err == nil
	})
	return s
}

// mount covers a box's files, and gives their paths for the box.
func (s server) mount(t *testing.T, b *box) {
	t.Helper()
	s.do(t, "mount", strconv.Itoa(b.pid))
}

// unmount takes them away.
func (s server) unmount(t *testing.T, b *box) {
	t.Helper()
	s.do(t, "unmount", strconv.Itoa(b.pid))
}

// do runs a command, which must end well, and gives what it printed.
func (s server) do(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(s.program, append([]string{command, "--state-dir", s.state}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", command, args, err, out)
	}
	return string(out)
}

// until polls a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
