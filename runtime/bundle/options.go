// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"fmt"
	"strings"
)

// Options are the values of run's flags. The zero value of each is "not given".
// Sizes are written as docker takes them: a number with an optional b, k, m or
// g (1024 each).
type Options struct {
	ID   string   // of the container; its start is the default host name
	Name string   // --name
	Args []string // the command
	Env  []string // --env NAME=VALUE, or NAME to hand on the caller's

	User     string // --user NAME|UID[:GROUP|GID]
	Workdir  string // --workdir, made in the container if it isn't there
	Hostname string // --hostname
	TTY      bool   // --tty
	Init     bool   // --init; read by whoever starts the container, not by Spec

	ReadOnly bool     // --read-only: the root file system
	Tmpfs    []string // --tmpfs DST[:OPTION,…]
	Volumes  []string // --volume SRC:DST[:OPTION,…]
	Network  string   // --network none (default) or host
	Time     string   // --time private (default where the kernel can) or host

	CapAdd, CapDrop []string // --cap-add, --cap-drop NAME or ALL
	SecurityOpt     []string // --security-opt

	Memory            string // --memory, at least 6 MiB
	MemorySwap        string // --memory-swap: memory and swap together, -1 no limit
	MemoryReservation string // --memory-reservation

	CPUs       string // --cpus: a decimal number
	CPUPeriod  int64  // --cpu-period, µs
	CPUQuota   int64  // --cpu-quota, µs; -1 no limit
	CPUShares  int64  // --cpu-shares, 2 to 262144
	CPUsetCPUs string // --cpuset-cpus
	CPUsetMems string // --cpuset-mems

	PidsLimit       int64    // --pids-limit; -1 no limit
	BlkioWeight     int64    // --blkio-weight, 10 to 1000
	DeviceReadBps   []string // --device-read-bps DEVICE:RATE and so on;
	DeviceWriteBps  []string // a rate of bytes takes a unit
	DeviceReadIOps  []string
	DeviceWriteIOps []string // --device-write-iops
}

// Error is a flag's value that can't be.
type Error struct {
	Flag  string // with its dashes
	Value string // as written
	Err   error
}

func (e *Error) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %v", e.Flag, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Flag, quoteOdd(e.Value), e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// quoteOdd quotes what would break the one line of a message.
func quoteOdd(s string) string {
	if q := fmt.Sprintf("%q", s); len(q) != len(s)+2 || s != strings.TrimSpace(s) {
		return q
	}
	return s
}

func bad(flag string, value any, format string, args ...any) error {
	return &Error{Flag: flag, Value: fmt.Sprint(value), Err: fmt.Errorf(format, args...)}
}
