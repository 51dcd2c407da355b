// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// patience is how long a command may take: most of the machine may be busy
// with other things, and emulated besides.
const patience = 60 * time.Second

// program is procfs-shim as somebody installed it.
type program struct {
	path, state, data string
}

// setup gives a program with directories of the test's own, and checks in the
// end that nothing is left of what it did.
func setup(t *testing.T) *program {
	t.Helper()
	testenv.RequireFUSE(t)
	testenv.RequireOverlay(t)
	binary := shared.binary(t)
	box(t)
	testenv.NoLeaks(t)
	dir := t.TempDir()
	p := &program{binary, filepath.Join(dir, "state"), filepath.Join(dir, "data")}
	t.Cleanup(func() { p.nothingLeft(t) })
	return p
}

// nothingLeft checks that no container has a record or a layer.
func (p *program) nothingLeft(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(p.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: the data directory: %v", tree(t, p.data))
	}
	left, err := os.ReadDir(filepath.Join(p.state, "containers"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, entry := range left {
		t.Errorf("left behind: the record of container %s", entry.Name())
	}
}

// command puts the directories behind the command's name.
func (p *program) command(args ...string) *exec.Cmd {
	all := slices.Clone(args[:1])
	switch args[0] {
	case "run":
		all = append(all, "--state-dir", p.state, "--data-dir", p.data)
	case "serve", "mount", "unmount", "umount", "status", "explain":
		all = append(all, "--state-dir", p.state)
	}
	return exec.Command(p.path, append(all, args[1:]...)...)
}

// result is a command that has ended.
type result struct {
	command  string
	out, err string
	status   int
}

// do runs a command to its end, with nothing on standard input.
func (p *program) do(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, p.command(args...))
}

// finish runs cmd, and fails the test when that takes too long.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	r := result{strings.Join(cmd.Args[1:], " "), out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		t.Fatalf("%s: still running after %v\n%s%s", r.command, patience, r.out, r.err)
	}
	return r
}

// run is `run FLAGS --rootfs BOX -- COMMAND`; args has the flags, "--" and the
// command.
func (p *program) run(t *testing.T, args ...string) result {
	t.Helper()
	return p.do(t, append([]string{"run", "--rootfs", box(t)}, args...)...)
}

// sh runs a script in a container with these flags.
func (p *program) sh(t *testing.T, script string, flags ...string) result {
	t.Helper()
	return p.run(t, append(flags, "--", "sh", "-c", script)...)
}

// text is what the command printed if it ended well.
func (r result) text(t *testing.T) string {
	t.Helper()
	if r.status != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", r.command, r.status, r.out, r.err)
	}
	return strings.TrimSuffix(r.out, "\n")
}

// is checks all that the command printed, and that it ended well and silently.
func (r result) is(t *testing.T, want string) {
	t.Helper()
	if got := r.text(t); got != want {
		t.Errorf("%s: it printed %q, want %q", r.command, got, want)
	}
	if r.err != "" {
		t.Errorf("%s: on stderr: %s", r.command, r.err)
	}
}

// fails checks the status of a command in a container, and what it said on
// stderr.
func (r result) fails(t *testing.T, status int, word string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.err, word) || strings.Contains(r.err, "procfs-shim: ") {
		t.Errorf("%s: exit status %d, want %d with %q on stderr: %s", r.command, r.status, status, word, r.err)
	}
}

// refused checks the answer to what can't be done: this status, nothing on
// standard output, and one line that begins with our name and has the words.
func (r result) refused(t *testing.T, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: exit status %d, want %d", r.command, r.status, status)
	}
	if r.out != "" {
		t.Errorf("%s: it printed %q", r.command, r.out)
	}
	if !strings.HasPrefix(r.err, "procfs-shim: ") || strings.Count(r.err, "\n") != 1 || !strings.HasSuffix(r.err, "\n") {
		t.Errorf("%s: not one line of ours on stderr: %q", r.command, r.err)
	}
	for _, word := range words {
		if !strings.Contains(r.err, word) {
			t.Errorf("%s: no %q in the error: %s", r.command, word, r.err)
		}
	}
}

// containerStatus is what `status --output json` says of one container.
type containerStatus struct {
	ID                 string
	Name               string
	Engine             string
	InitPID            int `json:"init_pid"`
	Cgroup             string
	State              string
	Files              []string
	ProcessesElsewhere int  `json:"processes_elsewhere"`
	HeldOpen           int  `json:"held_open"`
	NestingLost        bool `json:"nesting_lost"`
}

type statusReport struct {
	ServerRunning bool `json:"server_running"`
	Containers    []containerStatus
}

// status gives what `status` says of all containers.
func (p *program) status(t *testing.T) statusReport {
	t.Helper()
	var report statusReport
	text := p.do(t, "status", "--output", "json").text(t)
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("status: %v in %s", err, text)
	}
	return report
}

// statusOf gives what `status` says of one container, by id or name.
func (p *program) statusOf(t *testing.T, id string) containerStatus {
	t.Helper()
	report := p.status(t)
	for _, c := range report.Containers {
		if c.ID == id || c.Name == id {
			return c
		}
	}
	t.Fatalf("status: no container %s in %+v", id, report.Containers)
	return containerStatus{}
}

// until polls a condition; what says what is waited for.
func until(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	if took, ok := poll(limit, condition); !ok {
		t.Fatalf("not within %v: %s (waited %v)", limit, what, took)
	}
}

// poll asks until the condition holds or the time is over.
func poll(limit time.Duration, condition func() bool) (took time.Duration, ok bool) {
	start := time.Now()
	for {
		ok := condition()
		if took := time.Since(start); ok || took > limit {
			return took, ok
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// tree lists what is below dir, with sizes and modes.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		list = append(list, fmt.Sprintf("%s %v %d %d", path, info.Mode(), info.Size(), info.ModTime().UnixNano()))
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return list
}

// fields are a text's words.
func fields(text string) []string { return strings.Fields(text) }

// lineOf gives the line of text that starts with key, less the key.
func lineOf(t *testing.T, text, key string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no line %q in:\n%s", key, text)
	return ""
}

// number parses a decimal number.
func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// memTotal is a meminfo's first value, in kB.
func memTotal(t *testing.T, meminfo string) int {
	t.Helper()
	return number(t, strings.TrimSuffix(lineOf(t, meminfo, "MemTotal:"), " kB"))
}

// file reads a file of the host.
func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readWithin reads a file that a server should answer for. A reader that hangs
// fails the test; it comes back when the container ends.
func readWithin(t *testing.T, limit time.Duration, path string) string {
	t.Helper()
	type answer struct {
		text []byte
		err  error
	}
	came := make(chan answer, 1)
	go func() {
		text, err := os.ReadFile(path)
		came <- answer{text, err}
	}()
	select {
	case a := <-came:
		if a.err != nil {
			t.Fatal(a.err)
		}
		return string(a.text)
	case <-time.After(limit):
		t.Fatalf("%s: no answer within %v", path, limit)
		return ""
	}
}
