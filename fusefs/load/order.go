// SPDX-License-Identifier: Apache-2.0

package load

import "math"

// An order goes through the indices of a list of n, each once, so that wherever
// it is ended those it gave are evenly spread over the list. For tasks that are
// listed side by side are often threads of one process and do the same: looking
// at neighbours would count a pool of running threads twice over or not at all.
//
// The step is n divided by the golden ratio, of all steps the one whose
// multiples (modulo n) are the most even at every length.
type order struct {
	n, step int
	at      int // the next index
}

// newOrder begins at start, any number that isn't negative: where another order
// ended, be its list of another length.
func newOrder(n, start int) order {
	if n == 0 {
		return order{}
	}
	step := int(float64(n) / math.Phi)
	for gcd(n, step) != 1 { // ends: n and n−1 have no common divisor
		step++
	}
	return order{n: n, step: step, at: start % n}
}

// next returns the next index. After n calls it starts again.
func (o *order) next() int {
	i := o.at
	// Not (at+step)%n: the sum may be too large where int has 32 bits.
	if o.at >= o.n-o.step {
		o.at -= o.n - o.step
	} else {
		o.at += o.step
	}
	return i
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
