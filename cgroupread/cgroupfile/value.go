// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"errors"
	"math"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// unlimited is the smallest number that stands for "no limit". v1 has no word
// for it and shows PAGE_COUNTER_MAX pages, which is 2^63 − 1 rounded down to a
// page (include/linux/page_counter.h); people write 2^63 − 1 or more themselves.
// Pages are at most 256 KiB large, so everything within 1 MiB of 2^63 is it.
const unlimited = 1<<63 - 1<<20

// ParseLimit reads a file that holds one limit: v2 "max" or a number, v1 a
// number.
func ParseLimit(text []byte) (limits.Limit, error) {
	text = bytes.TrimSpace(text)
	if string(text) == "max" {
		return limits.None(), nil
	}
	n, err := parseUint(text)
	if errors.Is(err, errTooLarge) {
		return limits.None(), nil
	}
	if err != nil {
		return limits.None(), lineError(1, text, err)
	}
	if n >= unlimited {
		return limits.None(), nil
	}
	return limits.To(n), nil
}

// ParseUsage reads a file that holds one number.
func ParseUsage(text []byte) (uint64, error) {
	text = bytes.TrimSpace(text)
	n, err := parseUint(text)
	if err != nil {
		return 0, lineError(1, text, err)
	}
	return n, nil
}

// ParseCPUList reads a file that holds one list of CPUs or memory nodes:
// cpuset.cpus.effective and its like.
func ParseCPUList(text []byte) (cpulist.Set, error) {
	text = bytes.TrimSpace(text)
	set, err := cpulist.Parse(string(text))
	if err != nil {
		return cpulist.Set{}, lineError(1, text, err)
	}
	return set, nil
}

// ParseTIDs appends the thread ids of v2's cgroup.threads or v1's tasks, one on
// each line, until dst has most of them; complete says that there were no more.
// Zeros are left out: v2 shows one for each thread that the reader's PID
// namespace has no number for.
func ParseTIDs(dst []int, text []byte, most int) (tids []int, complete bool, err error) {
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		n, err := parseUint(line)
		if err != nil || n > math.MaxInt32 {
			return dst, false, lineError(number, line, errNotID)
		}
		if n == 0 {
			continue
		}
		if len(dst) >= most {
			return dst, false, nil
		}
		dst = append(dst, int(n))
	}
	return dst, true, nil
}

// eachKey calls set for each line "key number".
func eachKey(text []byte, set func(key []byte, n uint64)) error {
	return eachLine(text, func(number int, line []byte) error {
		key, value, ok := bytes.Cut(line, []byte(" "))
		if !ok || len(key) == 0 {
			return lineError(number, line, errNotKeyValue)
		}
		n, err := parseUint(value)
		if err != nil {
			return lineError(number, line, err)
		}
		set(key, n)
		return nil
	})
}

// eachLine calls parse for each line, counted from 1, until one fails.
func eachLine(text []byte, parse func(number int, line []byte) error) error {
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if err := parse(number, line); err != nil {
			return err
		}
	}
	return nil
}

// parseUint reads an unsigned decimal number without blanks or sign. strconv
// would make a string, and an error with a copy of it, of every value.
func parseUint(digits []byte) (uint64, error) {
	if len(digits) == 0 {
		return 0, errNotNumber
	}
	n, over := uint64(0), false
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, errNotNumber
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			over = true
		}
		n = n*10 + d
	}
	if over {
		return 0, errTooLarge
	}
	return n, nil
}
