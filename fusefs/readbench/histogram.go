// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"math"
	"math/bits"
	"time"
)

const (
	// subBits is the logarithm of how many buckets one power of two has.
	subBits = 6
	// maxBits bounds the times that are told apart: 2^40 ns are 18 minutes.
	maxBits = 40

	buckets = (maxBits - subBits + 1) << subBits

	// QuantileError is how far a quantile can be off, as a part of it: a bucket
	// is at most 1/64 of its lower bound wide, and its middle is what is given.
	QuantileError = 1.0 / (2 << subBits)
)

// histogram counts times. Times below 2^subBits ns have a bucket each; from
// there on each power of two is cut into 2^subBits buckets.
type histogram struct {
	counts [buckets]uint32
	n      uint64
	sum    time.Duration
}

func bucketOf(ns uint64) int {
	ns = min(ns, 1<<maxBits-1)
	shift := max(bits.Len64(ns)-subBits-1, 0)
	return shift<<subBits + int(ns>>shift)
}

// middle is the time that stands for a bucket.
func middle(bucket int) time.Duration {
	return time.Duration(lower(bucket)+lower(bucket+1)) / 2
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(uint64(max(d, 0)))]++
	h.n++
	h.sum += d
}

func (h *histogram) merge(o *histogram) {
	for i, c := range &o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
}

// quantile gives the smallest time that at least the part q of all times
// doesn't exceed (nearest rank), 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	var seen uint64
	for i, c := range &h.counts {
		if seen += uint64(c); c > 0 && seen >= rank {
			return middle(i)
		}
	}
	return 0
}

// distribution gives the times in buckets that are eight to a power of two.
func (h *histogram) distribution() Distribution {
	const fine = 8 // buckets of ours in one of those
	var d Distribution
	for i := 0; i < buckets; i += fine {
		var reads uint64
		for _, c := range h.counts[i : i+fine] {
			reads += uint64(c)
		}
		if reads > 0 {
			d = append(d, Bin{From: lower(i), To: lower(i + fine), Reads: reads})
		}
	}
	return d
}

// lower is the smallest time of a bucket.
func lower(bucket int) int64 {
	if bucket < 2<<subBits {
		return int64(bucket)
	}
	shift := bucket>>subBits - 1
	return int64(bucket-shift<<subBits) << shift
}
