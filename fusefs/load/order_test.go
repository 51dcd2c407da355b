// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestOrderIsComplete(t *testing.T) {
	for n := range 600 {
		for _, start := range []int{0, n / 3, n, 5 * n, math.MaxInt} {
			o := newOrder(n, start)
			seen := make([]bool, n)
			for range n {
				i := o.next()
				if i < 0 || i >= n || seen[i] {
					t.Fatalf("n %d from %d: index %d twice or out of range", n, start, i)
				}
				seen[i] = true
			}
		}
	}
}

// Wherever it ends, no gap between two indices is more than three times what an
// even spread would leave.
func TestOrderIsEven(t *testing.T) {
	for _, n := range []int{100, 997, 4096, 30030, 100_000} {
		for _, part := range []int{8, 32, 400, 1024} {
			if part > n {
				continue
			}
			seen := make([]bool, n)
			o := newOrder(n, n/7)
			for range part {
				seen[o.next()] = true
			}
			gap, widest := 0, 0
			for i := range 2 * n {
				gap++
				if seen[i%n] {
					widest = max(widest, gap)
					gap = 0
				}
			}
			if limit := 3 * (n/part + 1); widest > limit {
				t.Errorf("%d of %d: a gap of %d, at most %d wanted", part, n, widest, limit)
			}
		}
	}
}

// Estimates of populations of 100,000 tasks, spread or in one block, are within
// the error that the package comment states, and passes that follow one another
// average out.
func TestEstimates(t *testing.T) {
	const n, part, active, passes = 100_000, 400, 2000, 200
	random := rand.New(rand.NewPCG(3, 4))
	block := random.IntN(n - active)
	for name, isActive := range map[string]func(i int) bool{
		"a block": func(i int) bool { return i >= block && i < block+active },
		"spread":  func() func(i int) bool { p := random.Perm(n); return func(i int) bool { return p[i] < active } }(),
	} {
		p := float64(active) / n
		sigma := n * math.Sqrt(p*(1-p)/part*(1-float64(part)/n))
		next, sum := 0, 0.0
		for pass := range passes {
			o := newOrder(n, next)
			c := counts{total: n, seen: part}
			for range part {
				if isActive(o.next()) {
					c.running++
				}
			}
			next = o.at
			estimate := float64(c.active()) / fixed
			if math.Abs(estimate-active) > 6*sigma { // of 400 passes; so few hits have a long tail
				t.Errorf("%s: pass %d: %v for %d, standard error %.0f", name, pass, estimate, active, sigma)
			}
			sum += estimate
		}
		if mean := sum / passes; math.Abs(mean-active) > 4*sigma/math.Sqrt(passes) {
			t.Errorf("%s: mean of %d passes %.0f, want %d", name, passes, mean, active)
		}
	}
}
