// SPDX-License-Identifier: Apache-2.0

// Package cpulist turns the kernel's CPU list text ("0-3,8") into a set of CPU
// ids and back.
//
// The kernel writes this format in cpuset.cpus.effective, in
// /sys/devices/system/cpu/{online,offline,possible} and in
// /sys/devices/system/node/nodeN/cpulist: decimal ids and inclusive ranges,
// ascending, joined by commas, ended by a newline; no CPUs is an empty line
// (printk format %*pbl, lib/vsprintf.c; read back by bitmap_parselist,
// lib/bitmap-str.c). The same format names memory nodes.
//
// A [Set] is a value: no method changes it, and it may be shared between
// goroutines. Its zero value is the empty set. It is a bit map, so an id costs
// a bit wherever it lies; ids up to 65535 are taken, four times what Linux can
// be built for, so that a hostile text can't make the program allocate more
// than 8 KiB.
package cpulist

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// MaxID is the largest id a Set holds.
const MaxID = 1<<16 - 1

const wordBits = 64

// Set is a set of CPU ids. Compare with [Set.Equal].
type Set struct {
	// The first 64 ids live in the value itself: on most machines a set then
	// costs no allocation.
	low uint64
	// high[i] holds the ids from 64×(i+1) on; its last word is never 0.
	high []uint64
}

// Of is the set of the given ids. It panics on an id that is negative or above
// [MaxID]: such an id is a mistake in the program, text goes through [Parse].
func Of(ids ...int) Set {
	top := -1
	for _, id := range ids {
		if id < 0 || id > MaxID {
			panic(fmt.Sprintf("cpulist: id %d is not in 0-%d", id, MaxID))
		}
		top = max(top, id)
	}
	b := builder{}
	b.grow(top)
	for _, id := range ids {
		b.fill(id, id)
	}
	return b.set
}

// Range is the set lo, lo+1, … hi, empty if hi < lo. It panics, as [Of] does,
// on ids that no set can hold.
func Range(lo, hi int) Set {
	if hi < lo {
		return Set{}
	}
	if lo < 0 || hi > MaxID {
		panic(fmt.Sprintf("cpulist: range %d-%d is not in 0-%d", lo, hi, MaxID))
	}
	b := builder{}
	b.fill(lo, hi)
	return b.set
}

// builder fills a set that nobody else has seen yet.
type builder struct{ set Set }

// grow makes room for ids up to top.
func (b *builder) grow(top int) {
	if n := top / wordBits; top >= 0 && n > len(b.set.high) {
		high := make([]uint64, n)
		copy(high, b.set.high)
		b.set.high = high
	}
}

// fill adds lo to hi, 0 ≤ lo ≤ hi ≤ MaxID.
func (b *builder) fill(lo, hi int) {
	b.grow(hi)
	for i := lo / wordBits; i <= hi/wordBits; i++ {
		mask := ^uint64(0)
		if first := i * wordBits; lo > first {
			mask <<= lo - first
		}
		if last := (i+1)*wordBits - 1; hi < last {
			mask &= ^uint64(0) >> (last - hi)
		}
		if i == 0 {
			b.set.low |= mask
		} else {
			b.set.high[i-1] |= mask
		}
	}
}

// word is the i-th group of 64 ids.
func (s Set) word(i int) uint64 {
	switch {
	case i == 0:
		return s.low
	case i <= len(s.high):
		return s.high[i-1]
	default:
		return 0
	}
}

func (s Set) words() int { return len(s.high) + 1 }

// combine is op applied to every group of 64 ids of s and o.
func (s Set) combine(o Set, op func(a, b uint64) uint64) Set {
	r := Set{low: op(s.low, o.low)}
	n := max(s.words(), o.words())
	for n > 1 && op(s.word(n-1), o.word(n-1)) == 0 {
		n-- // the last word of a set is never 0, or Equal would lie
	}
	if n > 1 {
		r.high = make([]uint64, n-1)
		for i := range r.high {
			r.high[i] = op(s.word(i+1), o.word(i+1))
		}
	}
	return r
}

// Intersect is the set of ids that are in both.
func (s Set) Intersect(o Set) Set {
	return s.combine(o, func(a, b uint64) uint64 { return a & b })
}

// Minus is the set of ids of s that are not in o.
func (s Set) Minus(o Set) Set {
	return s.combine(o, func(a, b uint64) uint64 { return a &^ b })
}

// Union is the set of ids that are in either.
func (s Set) Union(o Set) Set {
	return s.combine(o, func(a, b uint64) uint64 { return a | b })
}

// First is the set of the n smallest ids, all of s if it has no more than n.
func (s Set) First(n int) Set {
	if n <= 0 {
		return Set{}
	}
	if n >= s.Len() {
		return s
	}
	b := builder{}
	for i := range s.words() {
		for w := s.word(i); w != 0 && n > 0; w &= w - 1 {
			id := i*wordBits + bits.TrailingZeros64(w)
			b.fill(id, id)
			n--
		}
	}
	return b.set
}

// Len is the number of ids.
func (s Set) Len() int {
	n := bits.OnesCount64(s.low)
	for _, w := range s.high {
		n += bits.OnesCount64(w)
	}
	return n
}

// Has reports whether id is in the set.
func (s Set) Has(id int) bool {
	return id >= 0 && s.word(id/wordBits)>>(id%wordBits)&1 == 1
}

// IsEmpty reports whether there is no id in the set.
func (s Set) IsEmpty() bool { return s.low == 0 && len(s.high) == 0 }

// Max is the largest id, −1 if the set is empty.
func (s Set) Max() int {
	i := s.words() - 1
	return i*wordBits + bits.Len64(s.word(i)) - 1
}

// Equal reports whether both sets have the same ids.
func (s Set) Equal(o Set) bool {
	if s.low != o.low || len(s.high) != len(o.high) {
		return false
	}
	for i, w := range s.high {
		if w != o.high[i] {
			return false
		}
	}
	return true
}

// IDs are the ids in ascending order, nil if there are none.
func (s Set) IDs() []int {
	if s.IsEmpty() {
		return nil
	}
	ids := make([]int, 0, s.Len())
	for i := range s.words() {
		for w := s.word(i); w != 0; w &= w - 1 {
			ids = append(ids, i*wordBits+bits.TrailingZeros64(w))
		}
	}
	return ids
}

// String is the set in the kernel's list format without a newline, "" if it is
// empty.
func (s Set) String() string { return string(s.Append(nil)) }

// Append appends what [Set.String] returns to dst.
func (s Set) Append(dst []byte) []byte {
	start := len(dst)
	for lo := s.next(0, true); lo >= 0; {
		end := s.next(lo, false) // the first id after lo's run
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(lo), 10)
		if end-1 > lo {
			dst = append(dst, '-')
			dst = strconv.AppendInt(dst, int64(end-1), 10)
		}
		lo = s.next(end, true)
	}
	return dst
}

// next is the smallest id ≥ from that is (or, for in false, isn't) in the set.
// There always is one that isn't; −1 says that there is none that is.
func (s Set) next(from int, in bool) int {
	for i := from / wordBits; i < s.words(); i++ {
		w := s.word(i)
		if !in {
			w = ^w
		}
		if i == from/wordBits {
			w &= ^uint64(0) << (from % wordBits)
		}
		if w != 0 {
			return i*wordBits + bits.TrailingZeros64(w)
		}
	}
	if in {
		return -1
	}
	return max(from, s.words()*wordBits)
}

// MarshalText is [Set.String], so that a set in JSON reads as the kernel writes
// it.
func (s Set) MarshalText() ([]byte, error) { return s.Append(nil), nil }

// UnmarshalText is [Parse].
func (s *Set) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Parse reads a CPU list. Blanks and a newline around it are ignored; "" is the
// empty set. As in the kernel, ranges may come in any order and overlap. Strides
// ("0-31:2/4") and the words "all" and "N", which the kernel reads but never
// writes, are refused. A failure is a [*ParseError].
func Parse(text string) (Set, error) {
	list := strings.TrimSpace(text)
	b := builder{}
	if list == "" {
		return b.set, nil
	}
	for start := 0; start <= len(list); {
		item := list[start:]
		if i := strings.IndexByte(item, ','); i >= 0 {
			item = item[:i]
		}
		lo, hi, err := parseRange(item)
		if err != nil {
			return Set{}, &ParseError{Input: strings.Clone(item), Offset: start, Err: err}
		}
		b.fill(lo, hi)
		start += len(item) + 1
	}
	return b.set, nil
}

// parseRange reads "3" or "0-7".
func parseRange(item string) (lo, hi int, err error) {
	first, last, isRange := strings.Cut(item, "-")
	if lo, err = parseID(first); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return lo, lo, nil
	}
	if hi, err = parseID(last); err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, errBackwards
	}
	return lo, hi, nil
}

// parseID reads an unsigned decimal number. strconv would take a sign too.
func parseID(digits string) (int, error) {
	if digits == "" {
		return 0, errNoNumber
	}
	id := 0
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, errNotDigit
		}
		if id = id*10 + int(c-'0'); id > MaxID {
			return 0, errTooLarge
		}
	}
	return id, nil
}
