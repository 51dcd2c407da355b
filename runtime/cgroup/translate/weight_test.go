// SPDX-License-Identifier: Apache-2.0

package translate

import "testing"

func TestWeights(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 3: 2, 256: 35, 512: 59, 1024: 100, 2048: 174, 262143: 10000, 262144: 10000, 1 << 40: 10000} {
		if got := WeightOfShares(shares); got != want {
			t.Errorf("WeightOfShares(%d) = %d, want %d", shares, got, want)
		}
	}
	for s := uint64(2); s < MaxShares; s++ {
		if WeightOfShares(s+1) < WeightOfShares(s) {
			t.Fatalf("more shares, less weight: %d", s)
		}
	}
	for weight, want := range map[uint16]uint64{10: 1, 100: 910, 500: 4950, 1000: 10000} {
		if got := IOWeight(weight); got != want {
			t.Errorf("IOWeight(%d) = %d, want %d", weight, got, want)
		}
	}
}
