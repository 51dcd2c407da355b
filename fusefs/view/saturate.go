// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math"
	"math/bits"
)

// sub is a − b, 0 where that would be negative.
func sub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// add is the sum, the largest number where it would be larger.
func add(terms ...uint64) uint64 {
	var sum, carry uint64
	for _, t := range terms {
		if sum, carry = bits.Add64(sum, t, 0); carry != 0 {
			return math.MaxUint64
		}
	}
	return sum
}

// mulDiv is a × b / c, rounded down, the largest number where it would be
// larger. c isn't 0.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return math.MaxUint64
	}
	quotient, _ := bits.Div64(hi, lo, c)
	return quotient
}

// mul is a × b, the largest number where it would be larger.
func mul(a, b uint64) uint64 { return mulDiv(a, b, 1) }

// floor rounds n down to a multiple of unit.
func floor(n, unit uint64) uint64 { return n - n%unit }
