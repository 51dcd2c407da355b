// SPDX-License-Identifier: Apache-2.0

package sysdir

import (
	"path"
	"strconv"
	"strings"
)

// A Kind is what an entry is.
type Kind uint8

// The kinds.
const (
	File Kind = iota
	Directory
	Link
)

// A Rule allows entries; see the package comment.
type Rule struct {
	// Number is the rule's part of its entries' numbers: from 1 on, never given to
	// another rule.
	Number  uint32
	Pattern string
	Kind    Kind
}

// A Scheme says how numbers are composed, the same for ever.
type Scheme struct {
	Tree       uint32 // 0 or 1: tells the numbers of two directories apart
	RuleBits   uint   // for the rule
	SecondBits uint   // for the second number in a path; the first one has the rest
}

const (
	numberTop = 1 << 31 // set in all numbers of this package
	treeShift = 30
	none      = -1 // no number in the path
)

// Is says whether a number can be one of the scheme.
func (s Scheme) Is(number uint32) bool {
	return number&numberTop != 0 && number>>treeShift&1 == s.Tree
}

// compose makes the number of a rule's entry, whose path has these numbers in it;
// false if they are too large for it.
func (s Scheme) compose(rule uint32, first, second int) (uint32, bool) {
	f, n := uint64(max(0, first)), uint64(max(0, second))
	if f >= 1<<(treeShift-s.RuleBits-s.SecondBits) || n >= 1<<s.SecondBits {
		return 0, false
	}
	return numberTop | s.Tree<<treeShift | uint32(f)<<(s.RuleBits+s.SecondBits) | uint32(n)<<s.RuleBits | rule, true
}

// split takes a number apart.
func (s Scheme) split(number uint32) (rule uint32, first, second int) {
	rule = number & (1<<s.RuleBits - 1)
	second = int(number >> s.RuleBits & (1<<s.SecondBits - 1))
	first = int(number & (1<<treeShift - 1) >> (s.RuleBits + s.SecondBits))
	return rule, first, second
}

// last is the last element of the pattern.
func (r *Rule) last() string { return path.Base(r.Pattern) }

// above is the pattern of the directory that the rule's entries are in; "." for
// the top.
func (r *Rule) above() string { return path.Dir(r.Pattern) }

// any says whether the rule allows every name.
func (r *Rule) any() bool { return r.last() == "*" }

// match says whether a name is one of the rule's, which isn't for any, and which
// number it has in it.
func (r *Rule) match(name string) (n int, ok bool) {
	before, after, numbered := strings.Cut(r.last(), "#")
	if !numbered {
		return none, name == before
	}
	digits, ok := strings.CutPrefix(name, before)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, after)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	// Only as the kernel writes it: no sign, no leading zero.
	if err != nil || n < 0 || strconv.Itoa(n) != digits {
		return 0, false
	}
	return n, true
}

// fill puts numbers into a pattern.
func fill(pattern string, numbers ...int) string {
	for _, n := range numbers {
		pattern = strings.Replace(pattern, "#", strconv.Itoa(n), 1)
	}
	return pattern
}
