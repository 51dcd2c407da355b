// SPDX-License-Identifier: Apache-2.0

// Package limits holds what the cgroups of one container say, as values: limit,
// usage, CPU quota, and the chains they form. It reads nothing; package
// cgroupread fills these types, package view turns them into the container's
// numbers.
//
// Vocabulary: a level is one cgroup; a chain is the levels from the container's
// own cgroup up to, not including, the root of the hierarchy:
//
//	/               root: limits nothing, in no chain
//	└─ docker       chain[1]   memory.max 4 GiB
//	   └─ abc       chain[0]   memory.max max       the container
//
// The kernel enforces every level, so the effective limit is the smallest of
// the chain (4 GiB here). A container that is the root cgroup has an empty
// chain.
//
// Units: bytes, [time.Duration], CPU ids. "No limit" is a [Limit] of its own and
// never a number.
package limits

import (
	"math"
	"strconv"
)

// Limit is a number of bytes, or no limit. Its zero value is no limit; a limit
// of 0 is a limit (To(0)). Limits compare with ==.
type Limit struct {
	n       uint64 // 0 unless limited
	limited bool
}

// To is a limit of n bytes.
func To(n uint64) Limit { return Limit{n: n, limited: true} }

// None is no limit.
func None() Limit { return Limit{} }

// Value is the limit in bytes; without one it is (0, false).
func (l Limit) Value() (n uint64, limited bool) { return l.n, l.limited }

// Min is the smaller of both limits.
func (l Limit) Min(o Limit) Limit {
	if !l.limited || o.limited && o.n < l.n {
		return o
	}
	return l
}

// AtMost is n cut down to the limit: min(n, l).
func (l Limit) AtMost(n uint64) uint64 {
	if l.limited {
		return min(n, l.n)
	}
	return n
}

// Less is what a limit leaves above n, saturating at 0: l − n. No limit less
// anything is no limit.
func (l Limit) Less(n uint64) Limit {
	if !l.limited {
		return l
	}
	return To(sub(l.n, n))
}

// Plus is the limit raised by n, saturating at the largest number.
func (l Limit) Plus(n uint64) Limit {
	if !l.limited {
		return l
	}
	if l.n > math.MaxUint64-n {
		return To(math.MaxUint64)
	}
	return To(l.n + n)
}

// String is the limit in bytes as cgroup v2 writes it: a decimal number or
// "max".
func (l Limit) String() string {
	if !l.limited {
		return "max"
	}
	return strconv.FormatUint(l.n, 10)
}

// sub is a − b, 0 where that would be negative.
func sub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
