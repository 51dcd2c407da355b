// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

// An Init is what a container's init process tells of the container's clocks. Its
// zero value is of a process that isn't known.
type Init struct {
	PID int // as this process's /proc numbers it; 0: not known
	// Start is when it began, by the boot clock (CLOCK_BOOTTIME); as old as the
	// machine's start where it isn't known. It is rounded down to a tick.
	Start time.Duration
	// BootOffset is what its time namespace adds to the boot clock, 0 outside of
	// one (time_namespaces(7)).
	BootOffset time.Duration
	// HostPID says that it is in the PID namespace of this process, the host's.
	HostPID bool
}

// Init returns what the process pid, a container's init, tells. ErrNotVisible if
// it has ended.
func (l *Locator) Init(pid int) (Init, error) {
	t, err := openTask(l.proc, pid)
	if err != nil {
		return Init{}, fmt.Errorf("init process %d: %w", pid, gone(err))
	}
	defer t.close()
	i, err := l.facts(t)
	if err != nil {
		return Init{}, fmt.Errorf("init process %d: %w", pid, gone(err))
	}
	return i, nil
}

func (l *Locator) facts(t task) (Init, error) {
	i := Init{PID: t.id}
	text, err := t.read("stat")
	if err != nil {
		return Init{}, err
	}
	if i.Start, err = parseStart(text); err != nil {
		return Init{}, fmt.Errorf("process: %s: %w", t.path("stat"), err)
	}
	space, err := t.namespace()
	if err != nil {
		return Init{}, err
	}
	i.HostPID = l.noHost == nil && space == l.host
	text, err = t.read("timens_offsets")
	if errors.Is(err, fs.ErrNotExist) {
		// A kernel without time namespaces (before 5.6, or CONFIG_TIME_NS=n), or a
		// process that has ended, which stat told before.
		return i, nil
	}
	if err != nil {
		return Init{}, err
	}
	if i.BootOffset, err = parseBootOffset(text); err != nil {
		return Init{}, fmt.Errorf("process: %s: %w", t.path("timens_offsets"), err)
	}
	return i, nil
}

// parseStart takes the start time from the text of /proc/PID/stat, in ticks.
func parseStart(text []byte) (time.Duration, error) {
	const (
		perTick    = time.Second / 100 // USER_HZ, the same on all architectures
		mostOfTick = 1<<63 - 1
	)
	ticks, err := statNumber(text, 22, "start time")
	return time.Duration(min(ticks, mostOfTick/uint64(perTick))) * perTick, err
}

// parseExiting takes from the text of /proc/PID/stat whether the kernel has begun
// to take the thread away; its process may have others that live on.
func parseExiting(text []byte) (bool, error) {
	const exiting = 0x4 // PF_EXITING of linux/sched.h
	flags, err := statNumber(text, 9, "flags")
	return flags&exiting != 0, err
}

// statNumber takes a field from the text of /proc/PID/stat, as proc_pid_stat(5)
// counts and calls them.
func statNumber(text []byte, field int, name string) (uint64, error) {
	// The name of the process can have blanks and brackets in it, what follows can't.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	at := field - 2 - 1
	if len(fields) <= at {
		return 0, fmt.Errorf("%d fields after the name, the %s is number %d", len(fields), name, at+1)
	}
	n, err := strconv.ParseUint(string(fields[at]), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

// parseBootOffset takes the line "boottime SECONDS NANOSECONDS" from the text of
// /proc/PID/timens_offsets. The seconds may be negative, the nanoseconds are added.
func parseBootOffset(text []byte) (time.Duration, error) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) != 3 || string(fields[0]) != "boottime" {
			continue
		}
		seconds, err := strconv.ParseInt(string(fields[1]), 10, 64)
		// The kernel takes offsets of up to half of what a time can be (KTIME_SEC_MAX).
		const most = int64(1<<63-1) / int64(time.Second)
		if err == nil && (seconds > most-1 || seconds < -most+1) {
			err = strconv.ErrRange
		}
		if err != nil {
			return 0, fmt.Errorf("boottime: %w", err)
		}
		nanos, err := strconv.ParseUint(string(fields[2]), 10, 30)
		if err != nil {
			return 0, fmt.Errorf("boottime: %w", err)
		}
		return time.Duration(seconds)*time.Second + time.Duration(nanos), nil
	}
	return 0, errors.New(`no line "boottime SECONDS NANOSECONDS"`)
}
