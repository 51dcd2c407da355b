// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package inject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const (
	// A run of `true` takes some ten milliseconds; one that hangs is a finding.
	runTime = 20 * time.Second
	// What a killed run leaves alive has a second to end, the machine another
	// two to notice.
	linger = 3 * time.Second
	// No run makes more calls than this; the sweep must end.
	mostCalls = 3000
	// exitFailed is `run`'s exit status for errors of its own.
	exitFailed = 125
)

// stateDirs are where the program keeps what it knows of containers, and their
// writable layers.
func stateDirs() []string { return []string{"/run/procfs-shim", "/var/lib/procfs-shim-data"} }

// sweep runs `procfs-shim run … true` again and again, with a fault at another
// call each time.
type sweep struct {
	program, rootfs string
	machine         testenv.Snapshot
	files           []string
}

// TestSweep stops the set-up and the removal of a container at every call that
// changes the machine: by kill -9 of `run`, by a full disk, by a refusal.
// Whatever the call, the run ends by itself, says one line if it failed, leaves
// neither process nor mount, and one more run removes the rest.
func TestSweep(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.RequireOverlay(t)
	testenv.NoLeaks(t)
	s := newSweep(t)
	for _, action := range []Action{Kill(), Errno(unix.ENOSPC), Errno(unix.EPERM)} {
		t.Run(action.String(), func(t *testing.T) { s.all(t, action) })
	}
}

func newSweep(t *testing.T) *sweep {
	t.Helper()
	s := &sweep{program: testenv.Binary(t), rootfs: rootfs(t)}
	// The first run makes what stays for good: the state directory, the
	// program's own top cgroup.
	if out, err := s.command().CombinedOutput(); err != nil {
		t.Fatalf("a run without faults: %v\n%s", err, out)
	}
	machine, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	s.machine, s.files = machine, files(t)
	return s
}

// rootfs makes a root file system that has busybox and nothing else.
func rootfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	busybox, err := os.ReadFile(testenv.RequireTool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin", "proc", "sys", "dev", "tmp", "etc"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("busybox", filepath.Join(dir, "bin/true")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *sweep) command() *exec.Cmd {
	return exec.Command(s.program, "run", "--rm", "--memory", "64m", "--cpus", "1", "--pids-limit", "50", "--rootfs", s.rootfs, "--", "/bin/true")
}

// files lists everything in the state directories, but for sockets and the
// like that a server which runs beside the test may have there.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range stateDirs() {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && (entry.IsDir() || entry.Type().IsRegular()) {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// left tells what there is more than before the sweep. Only processes may need
// time to go; everything else was removed by whoever ended, or never will be.
func (s *sweep) left(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, path := range files(t) {
		if !slices.Contains(s.files, path) {
			left = append(left, "file "+path)
		}
	}
	leaks, err := s.machine.Since()
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks {
		if leak.Kind != testenv.Goroutines && leak.Kind != testenv.Descriptors {
			left = append(left, leak.String())
		}
	}
	return left
}

// all goes through the calls until the program makes no more of them.
func (s *sweep) all(t *testing.T, action Action) {
	start := time.Now()
	tolerated := map[string]int{}
	for at := 1; at <= mostCalls; at++ {
		report := s.one(t, at, action)
		if !report.Hit {
			if code := report.State.ExitCode(); code != 0 {
				t.Errorf("without a fault: exit status %d", code)
			}
			t.Logf("%d calls, each with %v, took %v; went on without a call that failed: %v", at-1, action, time.Since(start).Round(time.Second), tolerated)
			return
		}
		if call := report.Calls[at-1]; action != Kill() && report.State.ExitCode() == 0 {
			tolerated[call.Name]++
		}
		if t.Failed() && at > 20 && time.Since(start) > 5*time.Minute {
			t.Fatal("stopping early: too slow, and failed already")
		}
	}
	t.Errorf("the program made more than %d calls", mostCalls)
}

// one makes one run with a fault at a call and checks how it ends.
func (s *sweep) one(t *testing.T, at int, action Action) Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := s.command()
	var said bytes.Buffer
	cmd.Stderr = &said
	report, err := Run(ctx, cmd, Plan{At: at, Action: action, Linger: linger})
	where := fmt.Sprintf("call %d", at)
	if report.Hit {
		where = "call " + report.Calls[at-1].String()
	}
	if err != nil {
		t.Errorf("%s: %v; it said %q; its calls from there:\n%v", where, err, said.String(), report.Calls[min(at, report.Total()):])
		return report
	}
	if report.Lingering {
		t.Errorf("%s: processes live on %v after the end of run:\n%s", where, linger, strings.Join(s.left(t), "\n"))
	}
	if report.Hit && action != Kill() {
		if problem := answer(report.State, said.String()); problem != "" {
			t.Errorf("%s: %s: %v, %q", where, problem, report.State, said.String())
		}
	}
	s.tidy(t, where, said.String(), report, action, at)
	return report
}

// answer judges how `run` ends when a call failed: as if nothing had happened,
// where it could do without, or with status 125 and one line.
func answer(state *os.ProcessState, said string) string {
	switch code := state.ExitCode(); {
	case code == 0:
		return ""
	case code != exitFailed:
		return fmt.Sprintf("exit status %d, not %d", code, exitFailed)
	case !strings.HasPrefix(said, "procfs-shim: "):
		return "no line that starts with procfs-shim:"
	case strings.Count(said, "\n") != 1:
		return "not one line"
	default:
		return ""
	}
}

// tidy checks what a run with a fault left, has one more run remove it, and
// checks again.
func (s *sweep) tidy(t *testing.T, where, said string, report Report, action Action, at int) {
	t.Helper()
	left := s.left(t)
	if len(left) == 0 {
		return
	}
	for _, what := range left {
		if strings.HasPrefix(what, string(testenv.Mounts)) || strings.HasPrefix(what, string(testenv.Processes)) {
			t.Errorf("%s: left %s", where, what)
		}
	}
	if report.Hit && action != Kill() {
		// Who can't remove something because removing fails may leave it to the
		// next run, and has to say so; who failed at anything else tidies up.
		switch call := report.Calls[at-1]; {
		case call.Kind != Remove && call.Name != "umount2":
			t.Errorf("%s: left after its error:\n  %s", where, strings.Join(left, "\n  "))
		case said == "":
			t.Errorf("%s: left without a word:\n  %s", where, strings.Join(left, "\n  "))
		}
	}
	if out, err := s.command().CombinedOutput(); err != nil {
		t.Errorf("%s: one more run: %v\n%s", where, err, out)
	}
	if left := s.left(t); len(left) > 0 {
		t.Errorf("%s: left after one more run:\n  %s", where, strings.Join(left, "\n  "))
	}
}
