// SPDX-License-Identifier: Apache-2.0

package view

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

func TestMeminfoAllocatesNothingWarm(t *testing.T) {
	host, chain, huge := benchmarkInput(t)
	var dst procfile.Meminfo
	var buf []byte
	round := func() {
		MeminfoInto(&dst, host, ratio50(), chain, huge, Policy{})
		buf = dst.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
}

func benchmarkInput(tb testing.TB) (*procfile.Meminfo, limits.MemoryChain, limits.HugetlbChain) {
	tb.Helper()
	stat := limits.MemoryStat{Anon: 40 * miB, File: 50 * miB, InactiveFile: 22 * miB, ActiveFile: 16 * miB}
	chain := limits.MemoryChain{level(256*miB, 100*miB, stat), level(-1, 100*miB, stat), level(giB, 500*miB, stat)}
	huge := limits.HugetlbChain{{Sizes: []limits.HugePages{{PageSize: 2 * miB}, {PageSize: giB}}}}
	return hostMeminfo(tb, "debian12-linux6.18-x86_64"), chain, huge
}

func BenchmarkMeminfo(b *testing.B) {
	host, chain, huge := benchmarkInput(b)
	var dst procfile.Meminfo
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		MeminfoInto(&dst, host, ratio50(), chain, huge, Policy{})
		buf = dst.Append(buf[:0])
	}
}
