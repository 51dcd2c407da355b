// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// buffer takes what a command writes while the test looks at it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// process is a command that runs in the background.
type process struct {
	*exec.Cmd
	in    *os.File
	lines chan string
	errs  buffer
	ended chan struct{} // closed when it has ended and all its output is read
	// patience is how long it may take to end once its standard input has.
	patience time.Duration
	// sweep removes what it left when it had to be killed, so that other tests
	// start clean.
	sweep func(t *testing.T)
}

// start starts a command of ours, which is ended with the test.
func (p *program) start(t *testing.T, args ...string) *process {
	t.Helper()
	b := begin(t, p.command(args...))
	b.sweep = p.sweep
	return b
}

// sweep lets a start of the program remove leftovers.
func (p *program) sweep(t *testing.T) {
	t.Helper()
	p.run(t, "--", "true")
}

// kill kills a process of a container.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// begin starts cmd with pipes to it and from it.
func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	b := &process{Cmd: cmd, lines: make(chan string, 1000), ended: make(chan struct{}), patience: 2 * time.Second}
	in, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, b.in = in, outW, &b.errs, inW
	// What it left to others of its descriptors must not hold us up.
	cmd.WaitDelay = patience
	err = cmd.Start()
	in.Close()
	outW.Close()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(b.lines)
		defer out.Close()
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			b.lines <- lines.Text()
		}
		_, _ = io.Copy(io.Discard, out) // a line too long: the test says what it misses
	}()
	go func() {
		defer close(b.ended)
		_ = cmd.Wait() // its status is in ProcessState
		<-read
	}()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop ends the process the way its user would, and if that doesn't help, with
// SIGKILL.
func (b *process) stop(t *testing.T) {
	t.Helper()
	b.in.Close()
	defer func() {
		for range b.lines { // so that the reader ends
		}
	}()
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGCONT, b.patience}, {unix.SIGTERM, 10 * time.Second}, {unix.SIGKILL, 0}} {
		if b.hasEnded() {
			return
		}
		_ = b.Process.Signal(step.signal)
		select {
		case <-b.ended:
			return
		case <-time.After(step.wait):
		}
	}
	t.Errorf("%v had to be killed; stderr: %s", b.Args, b.errs.String())
	<-b.ended
	if b.sweep != nil {
		b.sweep(t)
	}
}

func (b *process) hasEnded() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// line waits for the next line of output.
func (b *process) line(t *testing.T) string {
	t.Helper()
	line, err := b.tryLine(patience)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func (b *process) tryLine(limit time.Duration) (string, error) {
	select {
	case line, ok := <-b.lines:
		if !ok {
			return "", fmt.Errorf("%v: its output ended; stderr: %s", b.Args[1:], b.errs.String())
		}
		return line, nil
	case <-time.After(limit):
		return "", fmt.Errorf("%v: silent for %v; stderr: %s", b.Args[1:], limit, b.errs.String())
	}
}

// expect checks the next line of output.
func (b *process) expect(t *testing.T, want string) {
	t.Helper()
	if got := b.line(t); got != want {
		t.Fatalf("%v: %q, want %q; stderr: %s", b.Args[1:], got, want, b.errs.String())
	}
}

// say writes a line to its standard input.
func (b *process) say(t *testing.T, line string) {
	t.Helper()
	if _, err := b.in.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end and gives the exit status, 128+N after signal N.
func (b *process) wait(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-b.ended:
	case <-ctx.Done():
		t.Fatalf("%v: still running after %v; stderr: %s", b.Args[1:], patience, b.errs.String())
	}
	status, ok := b.ProcessState.Sys().(interface{ Signal() unix.Signal })
	if ok && b.ProcessState.ExitCode() < 0 {
		return 128 + int(status.Signal())
	}
	return b.ProcessState.ExitCode()
}

// signal sends the process a signal.
func (b *process) signal(t *testing.T, s unix.Signal) {
	t.Helper()
	if err := b.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// shell is a container whose command is a shell.
type shell struct {
	*process
	name string
}

// shell starts a container of this name with these flags; what the test asks
// runs in it one after the other.
func (p *program) shell(t *testing.T, name string, flags ...string) *shell {
	t.Helper()
	args := append([]string{"run", "-i", "--name", name, "--rootfs", box(t)}, flags...)
	s := &shell{p.start(t, append(args, "--", "sh")...), name}
	s.ask(t, ":") // it runs
	return s
}

// endOfAnswer stands before the status of a script.
const endOfAnswer = "@@end-of-answer "

// try runs a script in the shell and gives what it printed, errors included,
// and its status.
func (s *shell) try(t *testing.T, script string) (text string, status int) {
	t.Helper()
	s.say(t, "{ "+script+"\n} </dev/null 2>&1; status=$?; echo; echo '"+endOfAnswer+"'$status")
	var out []string
	for {
		line := s.line(t)
		if rest, ok := strings.CutPrefix(line, endOfAnswer); ok {
			// The line before is that of echo, or ends what had no newline.
			return strings.TrimRight(strings.Join(out, "\n"), "\n"), number(t, rest)
		}
		out = append(out, line)
	}
}

// ask is try for a script that must end well.
func (s *shell) ask(t *testing.T, script string) string {
	t.Helper()
	text, status := s.try(t, script)
	if status != 0 {
		t.Fatalf("in %s: %s: exit status %d\n%s", s.name, script, status, text)
	}
	return text
}

// leave ends the shell, and with it the container.
func (s *shell) leave(t *testing.T) {
	t.Helper()
	s.in.Close()
	if status := s.wait(t); status != 0 {
		t.Errorf("container %s: exit status %d; stderr: %s", s.name, status, s.errs.String())
	}
}

// views are what the container's shell sees.
type views struct {
	memTotal int    // kB
	cpus     string // the numbers of cpuinfo's blocks, with blanks between
	online   string
}

func (s *shell) views(t *testing.T) views {
	t.Helper()
	return parseViews(t, s.ask(t, viewScript))
}

// viewScript prints what parseViews reads.
const viewScript = `grep ^MemTotal: /proc/meminfo; grep '^processor' /proc/cpuinfo; echo online: $(cat /sys/devices/system/cpu/online)`

func parseViews(t *testing.T, text string) views {
	t.Helper()
	v := views{memTotal: memTotal(t, text), online: lineOf(t, text, "online:")}
	var cpus []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "processor"); ok {
			cpus = append(cpus, strings.Trim(rest, "\t :\n"))
		}
	}
	v.cpus = strings.Join(cpus, " ")
	return v
}
