// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// shiftedClocks are those that a time namespace shifts, time_namespaces(7).
func shiftedClocks() map[string]int32 {
	return map[string]int32{"monotonic": unix.CLOCK_MONOTONIC, "boottime": unix.CLOCK_BOOTTIME}
}

// newTimeNamespace gives the next children of the calling thread a time
// namespace. offsets are relative to the host's clocks; nil makes the clocks
// start at zero now. The thread is locked and keeps the namespace for its
// children for good.
func newTimeNamespace(proc string, offsets map[string]specs.LinuxTimeOffset) error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		hint := ""
		if errors.Is(err, unix.EINVAL) {
			hint = " (this kernel has no time namespaces, Linux 5.6 with CONFIG_TIME_NS; leave it out, as run --time host does)"
		}
		return fmt.Errorf("time namespace: %w%s", err, hint)
	}
	// The threads of a process have directories of their own there, though not
	// listed ones; thread-self lacks this file.
	path := filepath.Join(proc, strconv.Itoa(unix.Gettid()), "timens_offsets")
	text, err := clockOffsets(path, offsets)
	if err != nil {
		return fmt.Errorf("time namespace: %w", err)
	}
	if text == "" {
		return nil // the host's clocks; the kernel doesn't take an empty list
	}
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		return fmt.Errorf("time namespace: %w", err)
	}
	return nil
}

func clockOffsets(path string, offsets map[string]specs.LinuxTimeOffset) (string, error) {
	var text strings.Builder
	if offsets != nil {
		for clock, o := range offsets {
			fmt.Fprintf(&text, "%s %d %d\n", clock, o.Secs, o.Nanosecs)
		}
		return text.String(), nil
	}
	inherited, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	before, err := parseOffsets(string(inherited))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	for clock, id := range shiftedClocks() {
		var now unix.Timespec
		if err := unix.ClockGettime(id, &now); err != nil {
			return "", fmt.Errorf("clock_gettime(%s): %w", clock, err)
		}
		// What we read already holds the offset of the namespace that we are in.
		o := offsetOf(before[clock] - time.Duration(now.Nano()))
		fmt.Fprintf(&text, "%s %d %d\n", clock, o.Secs, o.Nanosecs)
	}
	return text.String(), nil
}

// parseOffsets reads timens_offsets: lines of clock, seconds, nanoseconds.
func parseOffsets(text string) (map[string]time.Duration, error) {
	offsets := map[string]time.Duration{}
	for line := range strings.Lines(text) {
		var clock string
		var secs, nanos int64
		if _, err := fmt.Sscan(line, &clock, &secs, &nanos); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		offsets[clock] = time.Duration(secs)*time.Second + time.Duration(nanos)
	}
	return offsets, nil
}

// offsetOf splits d into seconds, rounded down, and nanoseconds, which the
// kernel wants from 0 to 10^9 - 1.
func offsetOf(d time.Duration) specs.LinuxTimeOffset {
	secs := int64(d / time.Second)
	nanos := int64(d % time.Second)
	if nanos < 0 {
		secs, nanos = secs-1, nanos+int64(time.Second)
	}
	return specs.LinuxTimeOffset{Secs: secs, Nanosecs: uint32(nanos)}
}
