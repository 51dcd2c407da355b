// SPDX-License-Identifier: Apache-2.0

// Package process tells a process from a later one that gets the same number:
// by its start time, which costs nothing to keep, and by a pidfd (pidfd_open(2),
// Linux 5.3), which can be waited for and signalled.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that a process is gone, or that nothing but a zombie that
// waits for its parent is left of it.
var ErrGone = errors.New("no such process")

// Table looks processes up below one /proc.
type Table struct{ Root string }

// StartTime gives when the process started, in ticks after boot: with its PID
// it names a process for good. ErrGone when it is dead.
func (p Table) StartTime(pid int) (uint64, error) {
	path := filepath.Join(p.Root, strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	start, dead, err := parseStat(text)
	if err != nil {
		return 0, fmt.Errorf("process %d: %s: %w", pid, path, err)
	}
	if dead {
		return 0, fmt.Errorf("process %d: ended, its parent has not yet waited for it: %w", pid, ErrGone)
	}
	return start, nil
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)): state, num_threads and
// starttime, its fields 3, 20 and 22. The command in field 2 is in parentheses
// and may itself contain any character. A zombie that still has other threads
// is a process whose first thread ended; it lives.
func parseStat(text []byte) (start uint64, dead bool, err error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, false, fmt.Errorf("%.80q: no command in parentheses", text)
	}
	fields := bytes.Fields(text[end+1:])
	const state, threads, starttime = 0, 20 - 3, 22 - 3
	if len(fields) <= starttime {
		return 0, false, fmt.Errorf("%.80q: %d fields after the command, at least %d expected", text, len(fields), starttime+1)
	}
	start, err = strconv.ParseUint(string(fields[starttime]), 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("start time: %w", err)
	}
	n, err := strconv.ParseUint(string(fields[threads]), 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("number of threads: %w", err)
	}
	switch string(fields[state]) {
	case "Z", "X", "x":
		dead = n <= 1
	}
	return start, dead, nil
}

// Handle is a descriptor of one process, which can't be taken for another one
// that gets the same PID later.
type Handle struct{ file *os.File }

// Open opens the process with that PID if it is the one that started at
// start (pidfd_open(2), Linux 5.3).
func (p Table) Open(pid int, start uint64) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: pidfd_open: %w", pid, err)
	}
	// Not non-blocking, so os does not put it into the poller: it is only
	// ever asked with poll(2) here.
	f := &Handle{file: os.NewFile(uintptr(fd), "pidfd")}
	// The PID may have been used again between the caller's look at it and
	// pidfd_open; what is open now can't change under us any more.
	now, err := p.StartTime(pid)
	if err == nil && now != start {
		err = fmt.Errorf("process %d: another process has this id now: %w", pid, ErrGone)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Kill sends SIGKILL; that the process is already gone is no error.
func (f *Handle) Kill() error {
	err := unix.PidfdSendSignal(int(f.file.Fd()), unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}

// Wait returns when the process has ended, or ctx has.
func (f *Handle) Wait(ctx context.Context) error {
	for {
		// In slices, so that an ended ctx is seen.
		polled := []unix.PollFd{{Fd: int32(f.file.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, int((100 * time.Millisecond).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("poll of a pidfd: %w", err)
		case n > 0:
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// Close lets go of the process. A nil handle may be closed.
func (f *Handle) Close() {
	if f != nil {
		f.file.Close() //nolint:errcheck // close(2) of a pidfd can't fail but for EBADF
	}
}
