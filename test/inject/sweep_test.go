// SPDX-License-Identifier: Apache-2.0

//go:build sweep

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
	// What a run leaves alive, whatever ended it, has a second to end.
	linger = time.Second
	// No run makes more calls than this; the sweep must end.
	mostCalls = 3000
	// exitFailed is `run`'s exit status for errors of its own.
	exitFailed = 125
)

// sweep runs `procfs-shim run … true` again and again, with a fault at another
// call each time.
type sweep struct {
	program, rootfs string
	// dir holds the state and data directories of the containers made here, so
	// that no server which runs on this host already serves them.
	dir, state, data string
	// cgroups are the directories that were made here. Those of others come and
	// go on a machine where somebody works.
	cgroups map[string]bool
	machine testenv.Snapshot
	files   []string
}

// TestSweep stops the set-up and the removal of a container at every call that
// changes the machine: by kill -9 of `run`, by a full disk, by a refusal.
// Whatever the call, the run ends by itself, says one line if it failed, leaves
// neither process nor mount, and one more run removes the rest.
func TestSweep(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.RequireOverlay(t)
	s := newSweep(t)
	for _, action := range []Action{Kill(), Errno(unix.ENOSPC), Errno(unix.EPERM)} {
		t.Run(action.String(), func(t *testing.T) { s.all(t, action) })
	}
}

func newSweep(t *testing.T) *sweep {
	t.Helper()
	dir := t.TempDir()
	s := &sweep{
		program: testenv.Binary(t), rootfs: rootfs(t), cgroups: map[string]bool{},
		dir: dir, state: filepath.Join(dir, "state"), data: filepath.Join(dir, "data"),
	}
	// The first run makes what stays for good.
	s.clean(t, "a run without faults")
	machine, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	s.machine, s.files = machine, s.made(t)
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
	return exec.Command(s.program, "run", "--state-dir", s.state, "--data-dir", s.data, "--memory", "64m", "--cpus", "1", "--pids-limit", "50", "--rootfs", s.rootfs, "--", "/bin/true")
}

// made lists everything in the program's directories.
func (s *sweep) made(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{s.state, s.data} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			all = append(all, path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// left tells what there is more than before the sweep: files, mounts and
// cgroups. Processes are seen by Run, which waits for them.
func (s *sweep) left(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, path := range s.made(t) {
		if !slices.Contains(s.files, path) {
			left = append(left, "file "+path)
		}
	}
	leaks, err := s.machine.Since()
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks {
		if leak.Kind == testenv.Mounts && strings.Contains(leak.What, s.dir) || leak.Kind == testenv.Cgroups && s.cgroups[leak.Key] {
			left = append(left, leak.String())
		}
	}
	return left
}

// leftForGood is left after a second look, for the sake of the cgroup above
// containers, which others may use for a moment.
func (s *sweep) leftForGood(t *testing.T) []string {
	t.Helper()
	for deadline := time.Now().Add(linger); ; time.Sleep(20 * time.Millisecond) {
		if left := s.left(t); len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// learn takes the cgroups from the directories that a run made.
func (s *sweep) learn(report Report) {
	for _, call := range report.Calls {
		if path := call.What; call.Kind == Mkdir && call.Root {
			s.cgroups[strings.Trim(strings.TrimPrefix(path, "cwd, "), `"`)] = true
		}
	}
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
	s.learn(report)
	where := fmt.Sprintf("call %d", at)
	if report.Hit {
		where = "call " + report.Calls[at-1].String()
	}
	if err != nil {
		t.Errorf("%s: %v; it said %q; its calls from there:\n%v", where, err, said.String(), report.Calls[min(at, report.Total()):])
		return report
	}
	if report.Lingering {
		t.Errorf("%s: processes live on %v after the end of run", where, linger)
	}
	if report.Hit && action != Kill() {
		if problem := answer(report.State, said.String()); problem != "" {
			t.Errorf("%s: %s: %v, %q", where, problem, report.State, said.String())
		}
	}
	s.tidy(t, where, said.String(), report, action, at)
	return report
}

// mustGo says whether something may not stay without a word: anything but the
// two directories above all containers.
func (s *sweep) mustGo(what string) bool {
	return what != "file "+s.data && what != "file "+filepath.Join(s.data, "containers")
}

// clean makes a run without faults, which succeeds.
func (s *sweep) clean(t *testing.T, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := s.command()
	var said bytes.Buffer
	cmd.Stderr = &said
	report, err := Run(ctx, cmd, Plan{Linger: linger})
	s.learn(report)
	if err != nil || report.Lingering || !report.State.Success() {
		t.Errorf("%s: %v, %v, processes live on: %v\n%s", what, err, report.State, report.Lingering, said.String())
	}
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
	if action != Kill() {
		left = s.leftForGood(t)
	}
	if len(left) == 0 {
		return
	}
	for _, what := range left {
		if strings.HasPrefix(what, string(testenv.Mounts)) {
			t.Errorf("%s: left %s", where, what)
		}
	}
	if report.Hit && action != Kill() {
		// Who can't remove something because removing fails may leave it to the
		// next run, and has to say so; who failed at anything else tidies up.
		switch call := report.Calls[at-1]; {
		case call.Kind != Remove && call.Name != "umount2":
			t.Errorf("%s: left after its error:\n  %s", where, strings.Join(left, "\n  "))
		case said == "" && slices.ContainsFunc(left, s.mustGo):
			t.Errorf("%s: left without a word:\n  %s", where, strings.Join(left, "\n  "))
		}
	}
	s.clean(t, where+": one more run")
	if left := s.leftForGood(t); len(left) > 0 {
		t.Errorf("%s: left after one more run:\n  %s", where, strings.Join(left, "\n  "))
	}
}
