// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"io"
	"os"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// pty is one pseudo terminal: what a terminal emulator holds and what a program
// in it has.
type pty struct {
	master console.Console
	slave  *os.File
}

func newPty(t *testing.T) pty {
	t.Helper()
	master, name, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close(); _ = slave.Close() })
	return pty{master, slave}
}

func (p pty) file(t *testing.T) *os.File {
	t.Helper()
	f, ok := p.master.(interface{ Fd() uintptr })
	if !ok {
		t.Fatal("the master has no descriptor")
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "master")
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func mode(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

// readUntil reads from r until the text ends in want.
func readUntil(t *testing.T, r io.Reader, want string) string {
	t.Helper()
	var got strings.Builder
	buffer := make([]byte, 1)
	for !strings.HasSuffix(got.String(), want) {
		n, err := r.Read(buffer)
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.Write(buffer[:n])
	}
	return got.String()
}

// leaks fails the test if descriptors or goroutines are more than at the call.
func leaks(t *testing.T) {
	t.Helper()
	count := func() (fds, routines int) {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names), goruntime.NumGoroutine()
	}
	fds, routines := count()
	t.Cleanup(func() {
		deadline := time.Now().Add(2 * time.Second)
		for {
			nowFds, nowRoutines := count()
			if nowFds <= fds && nowRoutines <= routines {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("%d descriptors, %d goroutines; before it was %d and %d", nowFds, nowRoutines, fds, routines)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestSession(t *testing.T) {
	warmUp(t)
	leaks(t)
	caller, container := newPty(t), newPty(t)
	if err := caller.master.Resize(console.WinSize{Height: 33, Width: 111}); err != nil {
		t.Fatal(err)
	}
	before := mode(t, caller.slave)
	s, err := Attach(container.file(t), caller.slave, caller.slave)
	if err != nil {
		t.Fatal(err)
	}
	raw := mode(t, caller.slave)
	if raw.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || raw.Oflag&unix.OPOST != 0 {
		t.Errorf("mode while attached: %+v", raw)
	}
	if size, err := unix.IoctlGetWinsize(int(container.slave.Fd()), unix.TIOCGWINSZ); err != nil || size.Row != 33 || size.Col != 111 {
		t.Errorf("size of the container's terminal: %+v, %v", size, err)
	}

	// Keys go in: Ctrl-C is a byte up to the container's terminal.
	inside := mode(t, container.slave)
	inside.Lflag &^= unix.ISIG | unix.ECHO
	if err := unix.IoctlSetTermios(int(container.slave.Fd()), unix.TCSETS, &inside); err != nil {
		t.Fatal(err)
	}
	if _, err := caller.master.Write([]byte("ab\x03\r")); err != nil {
		t.Fatal(err)
	}
	if got := readUntil(t, container.slave, "\n"); got != "ab\x03\n" {
		t.Errorf("in the container: %q", got)
	}
	// Output goes out, with one CR for a line's end.
	if _, err := container.slave.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	if got := readUntil(t, caller.master, "\n"); got != "line\r\n" {
		t.Errorf("at the caller's terminal: %q", got)
	}

	// The size follows.
	if err := caller.master.Resize(console.WinSize{Height: 10, Width: 20}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new size", func() bool {
		size, err := unix.IoctlGetWinsize(int(container.slave.Fd()), unix.TIOCGWINSZ)
		return err == nil && size.Row == 10 && size.Col == 20
	})
	// A shell resets the mode of a stopped job's terminal; SIGCONT brings ours back.
	if err := unix.IoctlSetTermios(int(caller.slave.Fd()), unix.TCSETS, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "raw mode after SIGCONT", func() bool { return mode(t, caller.slave).Lflag&unix.ICANON == 0 })

	// What was written before the container's end is not lost.
	if _, err := container.slave.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	if err := container.slave.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := readUntil(t, caller.master, "words"); got != "last words" {
		t.Errorf("at the caller's terminal: %q", got)
	}
	if after := mode(t, caller.slave); after != before {
		t.Errorf("mode after Close: %+v, before %+v", after, before)
	}
}

// warmUp starts what the standard library starts once: the signal loop.
func warmUp(t *testing.T) {
	t.Helper()
	container := newPty(t)
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	s, err := Attach(container.file(t), nil, out)
	if err != nil {
		t.Fatal(err)
	}
	_ = container.slave.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 5 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Close while everything is idle, and something still holds the container's
// terminal: it ends, bounded, and the terminal is restored.
func TestCloseWhileHeldOpen(t *testing.T) {
	warmUp(t)
	leaks(t)
	caller, container := newPty(t), newPty(t)
	before := mode(t, caller.slave)
	s, err := Attach(container.file(t), caller.slave, caller.slave)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*drain {
		t.Errorf("Close took %v", took)
	}
	if after := mode(t, caller.slave); after != before {
		t.Errorf("mode after Close: %+v, before %+v", after, before)
	}
}

// A container that reads nothing blocks neither Close nor its own output.
func TestCloseWhileInputIsFull(t *testing.T) {
	warmUp(t)
	leaks(t)
	caller, container := newPty(t), newPty(t)
	s, err := Attach(container.file(t), caller.slave, caller.slave)
	if err != nil {
		t.Fatal(err)
	}
	inside := mode(t, container.slave)
	inside.Lflag &^= unix.ECHO | unix.ICANON
	if err := unix.IoctlSetTermios(int(container.slave.Fd()), unix.TCSETS, &inside); err != nil {
		t.Fatal(err)
	}
	keyboard := int(caller.master.Fd()) // once: Fd makes the file blocking again
	if err := unix.SetNonblock(keyboard, true); err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("x", 1000))
	full := 0
	eventually(t, "a full terminal", func() bool {
		_, err := unix.Write(keyboard, text)
		if errors.Is(err, unix.EAGAIN) {
			full++
		} else {
			full = 0
		}
		return full > 20
	})
	_ = container.slave.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// stdout is a pipe that its reader closes: the output is dropped, the container
// goes on.
func TestReaderGone(t *testing.T) {
	warmUp(t)
	leaks(t)
	container := newPty(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	s, err := Attach(container.file(t), nil, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := container.slave.WriteString("one\n"); err != nil {
		t.Fatal(err)
	}
	if got := readUntil(t, r, "\n"); got != "one\r\n" {
		t.Errorf("through the pipe: %q", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // more than a terminal's buffer
		if _, err := container.slave.WriteString(strings.Repeat("y", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	_ = container.slave.Close()
	if err := s.Close(); err != nil {
		t.Errorf("Close after the reader had gone: %v", err)
	}
}

// A stdout that can't be written is told.
func TestOutputFails(t *testing.T) {
	warmUp(t)
	leaks(t)
	container := newPty(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	s, err := Attach(container.file(t), nil, full)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := container.slave.WriteString("one\n"); err != nil {
		t.Fatal(err)
	}
	_ = container.slave.Close()
	if err := s.Close(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("Close = %v, want ENOSPC and the file", err)
	}
}

// The caller's terminal goes away: nothing hangs.
func TestHangUp(t *testing.T) {
	warmUp(t)
	leaks(t)
	caller, container := newPty(t), newPty(t)
	s, err := Attach(container.file(t), caller.slave, caller.slave)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.master.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.done // copying in sees it by itself
	if _, err := container.slave.WriteString("into the void\n"); err != nil {
		t.Fatal(err)
	}
	_ = container.slave.Close()
	// The output can't be written; the error says so, or it was dropped.
	if err := s.Close(); err != nil && !errors.Is(err, unix.EIO) {
		t.Errorf("Close after a hang-up: %v", err)
	}
}

func TestRequireTerminal(t *testing.T) {
	if err := RequireTerminal(nil); err != nil {
		t.Errorf("nil: %v", err)
	}
	if err := RequireTerminal(newPty(t).slave); err != nil {
		t.Errorf("a terminal: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if err := RequireTerminal(null); !errors.Is(err, ErrNotTerminal) {
		t.Errorf("%s: %v, want ErrNotTerminal", os.DevNull, err)
	}
}

func TestAttachFails(t *testing.T) {
	warmUp(t)
	leaks(t)
	container := newPty(t)
	closed := container.file(t)
	_ = closed.Close()
	if _, err := Attach(closed, nil, os.Stdout); err == nil {
		t.Error("Attach of a closed master: no error")
	}
}
