// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"strconv"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// reader reads a container on so many CPUs each 10 ms.
func reader(cpus int, perCPU bool) func() {
	s := Sample{Now: start, Start: start, Visible: cpulist.Range(0, cpus-1)}
	s.Usage = v2(0, 0, level("/pod/c", 120, 0), level("/pod", 300, 0))
	if perCPU {
		s.Usage.PerCPU = make([]time.Duration, cpus)
	}
	var h History
	var columns []Column
	return func() {
		s.Now += 10 * ms
		s.Usage.User += 3 * ms * time.Duration(cpus)
		s.Usage.System += ms * time.Duration(cpus)
		s.Usage.Total += 4 * ms * time.Duration(cpus)
		for i := range s.Usage.PerCPU {
			s.Usage.PerCPU[i] += 4 * ms
		}
		s.Usage.Chain.Levels[0].Throttled += ms
		columns = h.Advance(columns, s)
	}
}

func TestAdvanceAllocatesNothingWarm(t *testing.T) {
	for _, perCPU := range []bool{false, true} {
		read := reader(64, perCPU)
		read()
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("%v allocations, per CPU %v", n, perCPU)
		}
	}
}

func BenchmarkAdvance(b *testing.B) {
	for _, cpus := range []int{2, 64, 8192} {
		for _, perCPU := range []bool{false, true} {
			name := strconv.Itoa(cpus) + "/v2"
			if perCPU {
				name = strconv.Itoa(cpus) + "/v1"
			}
			b.Run(name, func(b *testing.B) {
				read := reader(cpus, perCPU)
				b.ReportAllocs()
				for b.Loop() {
					read()
				}
			})
		}
	}
}
