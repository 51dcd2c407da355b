// SPDX-License-Identifier: Apache-2.0

package daemon

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

// errNoProcess says that a process is gone, or that nothing but a zombie that
// waits for its parent is left of it.
var errNoProcess = errors.New("no such process")

// processes looks processes up below one /proc.
type processes struct{ root string }

// startTime gives when the process started, in ticks after boot: with its PID
// it names a process for good. errNoProcess when it is dead.
func (p processes) startTime(pid int) (uint64, error) {
	path := filepath.Join(p.root, strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, fmt.Errorf("process %d: %w", pid, errNoProcess)
	}
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	start, dead, err := parseStat(text)
	if err != nil {
		return 0, fmt.Errorf("process %d: %s: %w", pid, path, err)
	}
	if dead {
		return 0, fmt.Errorf("process %d: ended, its parent has not yet waited for it: %w", pid, errNoProcess)
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

// pidfd is a descriptor of one process, which can't be taken for another one
// that gets the same PID later.
type pidfd struct{ file *os.File }

// openPidfd opens the process with that PID if it is the one that started at
// start (pidfd_open(2), Linux 5.3).
func (p processes) openPidfd(pid int, start uint64) (*pidfd, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", pid, errNoProcess)
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: pidfd_open: %w", pid, err)
	}
	// Not non-blocking, so os does not put it into the poller: it is only
	// ever asked with poll(2) here.
	f := &pidfd{file: os.NewFile(uintptr(fd), "pidfd")}
	// The PID may have been used again between the caller's look at it and
	// pidfd_open; what is open now can't change under us any more.
	now, err := p.startTime(pid)
	if err == nil && now != start {
		err = fmt.Errorf("process %d: another process has this id now: %w", pid, errNoProcess)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// kill sends SIGKILL; that the process is already gone is no error.
func (f *pidfd) kill() error {
	err := unix.PidfdSendSignal(int(f.file.Fd()), unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}

// wait returns when the process has ended, or ctx has.
func (f *pidfd) wait(ctx context.Context) error {
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

func (f *pidfd) close() {
	if f != nil {
		f.file.Close() //nolint:errcheck // close(2) of a pidfd can't fail but for EBADF
	}
}
