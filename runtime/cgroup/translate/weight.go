// SPDX-License-Identifier: Apache-2.0

package translate

import "math"

// The kernel's range of cpu.shares: kernel/sched/sched.h, MIN_SHARES and
// MAX_SHARES. Values outside are clamped there without a word.
const (
	MinShares = 2
	MaxShares = 1 << 18
)

// WeightOfShares converts v1's cpu.shares (2 … 262144, default 1024) to v2's
// cpu.weight (1 … 10000, default 100):
//
//	weight = ⌈10^((L² + 125·L)/612 − 7/34)⌉, L = log₂(shares)
//
// the conversion of runc ≥ 1.3.2 and crun ≥ 1.23 (opencontainers/runc pull
// request 4785). It maps lowest to lowest, default to default and highest to
// highest; the linear one before it, 1 + (shares−2)·9999/262142, gave a
// container with default shares 39 against the 100 of everything around it.
func WeightOfShares(shares uint64) uint64 {
	switch {
	case shares <= MinShares:
		return 1
	case shares >= MaxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// The range of blkio.weight, as docker and the specification's users have it.
const (
	MinBlkioWeight = 10
	MaxBlkioWeight = 1000
)

// IOWeight converts v1's blkio.weight (10 … 1000) linearly to v2's
// io.weight (1 … 10000), as runc does:
//
//	weight = 1 + (blkio−10)·9999/990
//
// io.bfq.weight and blkio.bfq.weight (1 … 1000) take the value as it is.
func IOWeight(weight uint16) uint64 {
	return 1 + (uint64(weight)-MinBlkioWeight)*9999/(MaxBlkioWeight-MinBlkioWeight)
}
