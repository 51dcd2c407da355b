// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Process names a process for as long as the machine runs: PIDs are reused,
// a PID together with its start time is not. The zero value is none.
type Process struct {
	PID int `json:"pid"`
	// Start is the start time in ticks since boot, proc_pid_stat(5) field 22.
	Start uint64 `json:"start"`
}

// FindProcess looks the start time of pid up in procRoot. os.ErrNotExist when
// there is no such process.
func FindProcess(procRoot string, pid int) (Process, error) {
	p, _, err := findProcess(procRoot, pid)
	return p, err
}

func findProcess(procRoot string, pid int) (p Process, state byte, err error) {
	path := filepath.Join(procRoot, strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, unix.ESRCH) { // it ended between open and read
			err = &os.PathError{Op: "read", Path: path, Err: os.ErrNotExist}
		}
		return Process{}, 0, fmt.Errorf("look up process %d: %w", pid, err)
	}
	// The name in parentheses may hold blanks and parentheses.
	_, after, found := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(") "))
	fields := bytes.Fields(after)
	if !found || len(fields) < 20 {
		return Process{}, 0, fmt.Errorf("look up process %d: %s: unexpected text %q", pid, path, text)
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return Process{}, 0, fmt.Errorf("look up process %d: %s: start time: %w", pid, path, err)
	}
	return Process{pid, start}, fields[0][0], nil
}

// Alive reports whether the process runs; a zombie doesn't.
func (p Process) Alive(procRoot string) bool {
	if p.PID <= 0 {
		return false
	}
	now, state, err := findProcess(procRoot, p.PID)
	return err == nil && now == p && state != 'Z' && state != 'X'
}

// kill sends SIGKILL to the process if it still is the one meant, and waits
// until it has ended.
func (p Process) kill(ctx context.Context, procRoot string) error {
	if p.PID <= 0 {
		return nil
	}
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	// EINVAL: no process has the number any more, but a session or a process
	// group of others still bears it (up to Linux 6.8; ESRCH since).
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	defer func() { _ = unix.Close(pidfd) }()
	// The descriptor is taken before the look: what it names can't change.
	if !p.Alive(procRoot) {
		return nil
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	for {
		// Readable once it has ended. In slices, so that ctx is looked at.
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int((50 * time.Millisecond).Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for process %d: %w", p.PID, err)
		case ctx.Err() != nil:
			return fmt.Errorf("wait for process %d: it doesn't end: %w", p.PID, ctx.Err())
		}
	}
}
