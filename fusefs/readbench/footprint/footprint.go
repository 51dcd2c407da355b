// SPDX-License-Identifier: Apache-2.0

// Package footprint reads what a process and those it started use: CPU time,
// resident memory, threads, open descriptors. Sources are /proc/PID/{status,fd,
// task/TID/children} and the process' CPU clock, which counts nanoseconds, those
// of threads that ended included; the ticks of /proc/PID/stat are too coarse for
// a server that does next to nothing.
//
// What a process used that has ended is not in it; readings made before and
// after such an end can't be subtracted.
package footprint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Footprint is what some processes use together.
type Footprint struct {
	CPU         time.Duration // since each started
	RSS         int64         // bytes; pages that they share count for each
	Threads     int
	Descriptors int
}

// Read reads the footprint of a process and its descendants, of which some may
// end meanwhile. It needs a kernel with CONFIG_PROC_CHILDREN, as all
// distributions' are, to find descendants; without it they are left out.
func Read(proc string, pid int) (Footprint, error) {
	sum, err := one(proc, pid)
	if err != nil {
		return Footprint{}, fmt.Errorf("footprint of process %d: %w", pid, err)
	}
	for _, child := range children(proc, pid) {
		f, err := Read(proc, child)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			continue // it ended
		}
		if err != nil {
			return Footprint{}, err
		}
		sum.CPU += f.CPU
		sum.RSS += f.RSS
		sum.Threads += f.Threads
		sum.Descriptors += f.Descriptors
	}
	return sum, nil
}

func one(proc string, pid int) (f Footprint, err error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return f, err
	}
	threads, err := field(status, "Threads:")
	if err != nil {
		return f, fmt.Errorf("%s/status: %w", dir, err)
	}
	f.Threads = int(threads)
	// A process that is just ending has none.
	if kilobytes, err := field(status, "VmRSS:"); err == nil {
		f.RSS = kilobytes << 10
	}
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return f, err
	}
	f.Descriptors = len(open)
	f.CPU, err = cpuTime(pid)
	return f, err
}

// field is the number that follows key in /proc/PID/status.
func field(status []byte, key string) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			if words := bytes.Fields(rest); len(words) > 0 {
				return strconv.ParseInt(string(words[0]), 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no number after %q", key)
}

// cpuTime reads the CPU clock of a process. Its number is that of
// clock_getcpuclockid(3): the PID's complement, and 2 for the time that the
// scheduler counts (CPUCLOCK_SCHED in the kernel's posix-timers.h).
func cpuTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// children are the processes that the threads of one started.
func children(proc string, pid int) []int {
	lists, err := filepath.Glob(filepath.Join(proc, strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		return nil // the pattern is fine
	}
	var pids []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread ended
		}
		for _, word := range bytes.Fields(text) {
			if child, err := strconv.Atoi(string(word)); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
