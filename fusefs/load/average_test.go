// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// kernelStep is calc_load of include/linux/sched/loadavg.h in arbitrary
// precision, with the kernel's own numbers, so that neither an overflow nor a
// slip in ours is in both.
func kernelStep(load uint64, exp int64, tasks uint64) uint64 {
	n := big.NewInt
	before, active := new(big.Int).SetUint64(load), new(big.Int).SetUint64(tasks)
	active.Mul(active, n(2048))
	sum := new(big.Int).Mul(before, n(exp))
	sum.Add(sum, new(big.Int).Mul(active, n(2048-exp)))
	if active.Cmp(before) >= 0 {
		sum.Add(sum, n(2047))
	}
	return sum.Rsh(sum, 11).Uint64()
}

// A random history of task counts gives, step by step, the kernel's integers,
// and stays near the same averages in floating point: each step rounds by less
// than one unit, and what was rounded decays like all else.
func TestAveragesOfHistories(t *testing.T) {
	exps := [3]int64{1884, 2014, 2037}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var ours averages
		var kernel [3]uint64
		var model [3]float64
		tasks := uint64(0)
		for step := range 500 {
			if random.IntN(10) == 0 {
				tasks = random.Uint64N(1 << random.IntN(23)) // up to PID_MAX_LIMIT
			}
			gap := int64(1)
			if random.IntN(20) == 0 {
				gap = random.Int64N(300)
			}
			ours = ours.after(gap, tasks*fixed)
			for i, exp := range exps {
				for range gap {
					kernel[i] = kernelStep(kernel[i], exp, tasks)
				}
				decay := float64(exp) / fixed
				model[i] = model[i]*math.Pow(decay, float64(gap)) + float64(tasks*fixed)*(1-math.Pow(decay, float64(gap)))
				if ours[i] != kernel[i] {
					t.Fatalf("step %d, average %d: %d, the kernel's is %d", step, i, ours[i], kernel[i])
				}
				if bound := 1/(1-decay) + model[i]*1e-9; math.Abs(float64(ours[i])-model[i]) > bound {
					t.Fatalf("step %d, average %d: %d, in floating point %.1f ± %.1f", step, i, ours[i], model[i], bound)
				}
			}
		}
	}
}

// The kernel's decays are those of 5 s in 1, 5 and 15 minutes.
func TestDecays(t *testing.T) {
	for i, minutes := range []float64{1, 5, 15} {
		want := fixed / math.Exp(5/(60*minutes))
		if got := float64([]int{decay1, decay5, decay15}[i]); math.Abs(got-want) > 0.5 {
			t.Errorf("%v minutes: %v, want %.1f", minutes, got, want)
		}
	}
}

// A lasting load is reached exactly, from below and from above, and then stays;
// the largest gap there is takes no longer than the way there.
func TestAveragesSettle(t *testing.T) {
	for _, tasks := range []uint64{0, 1, 3, 1000, 1 << 22} {
		for _, from := range []uint64{0, 1, fixed, 7777777, fixed << 22} {
			a := averages{from, from, from}
			begun := time.Now()
			a = a.after(math.MaxInt64, tasks*fixed)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("from %d to %d tasks: took %v", from, tasks, took)
			}
			for i := range a {
				// Downwards it stops as soon as a step is less than a unit
				// (the kernel's too), less than 0.1 above.
				if a[i] < tasks*fixed || a[i] > tasks*fixed+fixed/10 || from <= tasks*fixed && a[i] != tasks*fixed {
					t.Errorf("from %d to %d tasks: average %d ends at %d", from, tasks, i, a[i])
				}
			}
		}
	}
}

func TestPeriods(t *testing.T) {
	for elapsed, want := range map[time.Duration]int64{
		-time.Hour:              0,
		0:                       0,
		2400 * time.Millisecond: 0,
		2500 * time.Millisecond: 1,
		4990 * time.Millisecond: 1,
		7400 * time.Millisecond: 1,
		7500 * time.Millisecond: 2,
		time.Hour:               720,
		math.MaxInt64:           1844674407,
	} {
		if got := periods(elapsed); got != want {
			t.Errorf("periods(%v) = %d, want %d", elapsed, got, want)
		}
	}
}
