// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"math"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// ticks gives the numbers 1, 2 and 5 times a power of ten from low to high.
func ticks(low, high float64) []float64 {
	var t []float64
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, m := range [...]float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= low*0.999 && v <= high*1.001 {
				t = append(t, v)
			}
		}
	}
	return t
}

// around gives two of the numbers of ticks that all from low to high lie between.
func around(low, high float64) (below, above float64) {
	below, above = 0.1, math.Inf(1)
	for _, t := range ticks(0.1, 1e15) {
		if t < low {
			below = t
		}
		if t > high && math.IsInf(above, 1) {
			above = t
		}
	}
	return below, above
}

// power says whether a number of ticks is a power of ten.
func power(tick float64) bool {
	exponent := math.Log10(tick)
	return math.Abs(exponent-math.Round(exponent)) < 1e-6
}

// duration writes nanoseconds in the unit that fits.
func duration(ns float64) string {
	for _, u := range [...]struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= u.size*0.9995 {
			return number(ns/u.size) + " " + u.name
		}
	}
	return number(ns) + " ns"
}

// number writes about three significant digits, without zeros that say nothing.
func number(v float64) string {
	s := readbench.Significant(v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
