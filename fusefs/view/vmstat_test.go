// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// hostVmstat is a host on which every label counts 7.
func hostVmstat(tb testing.TB, labels ...string) *procfile.Vmstat {
	tb.Helper()
	var text strings.Builder
	for _, label := range labels {
		fmt.Fprintf(&text, "%s 7\n", label)
	}
	v, err := procfile.ParseVmstat([]byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// vmstatOf is the container's file as a map.
func vmstatOf(tb testing.TB, host *procfile.Vmstat, in VmstatInput, p Policy) map[string]uint64 {
	tb.Helper()
	var dst procfile.Vmstat
	VmstatInto(&dst, host, &in, p)
	rows := make(map[string]uint64)
	for i := range dst.Len() {
		if dst.Name(i) != host.Name(i) {
			tb.Fatalf("row %d is %s, the host's %s", i+1, dst.Name(i), host.Name(i))
		}
		rows[dst.Name(i)] = dst.Value(i)
	}
	return rows
}

func TestVmstatUnits(t *testing.T) {
	labels := []string{
		"nr_free_pages", "nr_zone_active_file", "nr_zone_write_pending", "nr_mlock", "nr_active_file", "nr_anon_pages", "nr_file_pages",
		"nr_mapped", "nr_dirty", "nr_writeback", "nr_shmem", "nr_slab_reclaimable", "nr_kernel_stack", "nr_page_table_pages",
		"nr_anon_transparent_hugepages", "workingset_nodes", "nr_dirtied", "pgpgin", "pgpgout", "pswpin", "pgfault", "pgscan_direct",
		"thp_split_page", "oom_kill", "nr_tlb_local_flush_all", "nr_of_the_future", "pgfuture",
	}
	host := hostVmstat(t, labels...)
	io := []limits.DeviceIO{{ReadBytes: 5 * kB, WriteBytes: 3*kB + 1023}, {Minor: 1, ReadBytes: 1 * kB}}
	const page = 4096
	v2 := []limits.Counter{
		{Name: "anon", Value: 5 * page},
		{Name: "file", Value: 9 * page},
		{Name: "kernel_stack", Value: 48 * kB},
		{Name: "pagetables", Value: 3*page + 1},
		{Name: "shmem", Value: 2 * page},
		{Name: "file_mapped", Value: page},
		{Name: "file_dirty", Value: 4 * page},
		{Name: "file_writeback", Value: 2 * page},
		{Name: "anon_thp", Value: 6 * miB},
		{Name: "active_file", Value: 8 * page},
		{Name: "slab_reclaimable", Value: 11 * page},
		{Name: "pgfault", Value: 123},
		{Name: "pgscan_direct", Value: 17},
		{Name: "pswpin", Value: 5},
		{Name: "max", Value: 99},
		{Name: "oom_kill", Value: 2},
	}
	v1 := []limits.Counter{
		{Name: "cache", Value: 9 * page},
		{Name: "rss", Value: 5 * page},
		{Name: "rss_huge", Value: 6 * miB},
		{Name: "shmem", Value: 2 * page},
		{Name: "mapped_file", Value: page},
		{Name: "dirty", Value: 4 * page},
		{Name: "writeback", Value: 2 * page},
		{Name: "swap", Value: 5 * page},
		{Name: "pgpgin", Value: 3656},
		{Name: "pgpgout", Value: 570}, // charges, not KiB
		{Name: "pgfault", Value: 123},
		{Name: "active_file", Value: 8 * page},
		{Name: "oom_kill", Value: 2},
	}
	type rows = map[string]uint64
	common := rows{
		"nr_free_pages": 10, "nr_zone_active_file": 8, "nr_zone_write_pending": 6, "nr_active_file": 8, "nr_anon_pages": 5, "nr_file_pages": 9,
		"nr_mapped": 1, "nr_dirty": 4, "nr_writeback": 2, "nr_shmem": 2, "nr_anon_transparent_hugepages": 3, "pgpgin": 6, "pgpgout": 3,
		"pgfault": 123, "oom_kill": 2,
	}
	onlyV2 := rows{"nr_slab_reclaimable": 11, "nr_kernel_stack": 48, "nr_page_table_pages": 3, "pswpin": 5, "pgscan_direct": 17}
	hosts := rows{"nr_dirtied": 7, "thp_split_page": 7, "nr_tlb_local_flush_all": 7, "pgfuture": 7}
	for _, c := range []struct {
		name string
		in   VmstatInput
		p    Policy
		want []rows
	}{
		{"v2", VmstatInput{Counters: v2, IO: io, MemFree: 10*page + 5, Page: page}, Policy{}, []rows{common, onlyV2}},
		{"v2, the host's counters", VmstatInput{Counters: v2, IO: io, MemFree: 10 * page, Page: page}, Policy{HostCounters: true}, []rows{common, onlyV2, hosts}},
		{"v1", VmstatInput{Counters: v1, IO: io, MemFree: 10 * page, Page: page}, Policy{}, []rows{common}},
		{"v1, the host's counters", VmstatInput{Counters: v1, IO: io, MemFree: 10 * page, Page: page}, Policy{HostCounters: true}, []rows{common, hosts, {"pswpin": 7, "pgscan_direct": 7}}},
		{"nothing known", VmstatInput{Page: page}, Policy{}, nil},
		{"64 KiB pages", VmstatInput{MemFree: 640 * kB, Page: 64 * kB, Counters: []limits.Counter{
			{Name: "anon", Value: 128 * kB}, {Name: "anon_thp", Value: 1024 * miB}, {Name: "kernel_stack", Value: 64 * kB},
		}}, Policy{}, []rows{{"nr_free_pages": 10, "nr_anon_pages": 2, "nr_anon_transparent_hugepages": 2, "nr_kernel_stack": 64}}},
		{"huge pages of another size", VmstatInput{Page: page, HugePage: miB, Counters: v2[8:9]}, Policy{}, []rows{{"nr_anon_transparent_hugepages": 6}}},
		{"no page size", VmstatInput{MemFree: 5}, Policy{}, []rows{{"nr_free_pages": 5}}},
	} {
		got := vmstatOf(t, host, c.in, c.p)
		for _, label := range labels {
			var want uint64
			for _, rows := range c.want {
				want += rows[label]
			}
			if got[label] != want {
				t.Errorf("%s: %s = %d, want %d", c.name, label, got[label], want)
			}
		}
	}
	var dst procfile.Vmstat
	VmstatInto(&dst, hostVmstat(t, "nr_free_pages", "pgpgin"), &VmstatInput{IO: []limits.DeviceIO{{ReadBytes: math.MaxUint64}, {ReadBytes: 1}}}, Policy{})
	if v, _ := dst.Get("pgpgin"); v != math.MaxUint64/kB {
		t.Errorf("pgpgin = %d", v)
	}
}

// The table names only labels that some kernel has, with keys of that kernel.
func TestVmstatSources(t *testing.T) {
	for label, source := range vmstatSources {
		if source.key == "" || (source.unit == events) != countsEvents(label) {
			t.Errorf("%s: %+v", label, source)
		}
		if source.unit == events && (source.key != label || source.keyV1 != label && source.keyV1 != "") {
			t.Errorf("%s: the same event has one name, not %+v", label, source)
		}
		if v2, v1, ok := VmstatKey(label); v2 != source.key || v1 != source.keyV1 || !ok {
			t.Errorf("%s: %s, %s, %v", label, v2, v1, ok)
		}
	}
	for _, label := range []string{"pgpgin", "nr_free_pages", "nr_mlock"} {
		if key, _, ok := VmstatKey(label); ok {
			t.Errorf("%s is %s", label, key)
		}
	}
}

// Of a container's counters, each label takes one and no other moves it.
func TestVmstatPerturbed(t *testing.T) {
	const seed = 40
	rnd := rand.New(rand.NewPCG(seed, 0))
	labels := []string{"nr_free_pages", "nr_zone_write_pending", "pgpgin", "pgpgout", "nr_mlock", "thp_split_page"}
	var counters []limits.Counter
	for label, source := range vmstatSources {
		labels = append(labels, label)
		counters = append(counters, limits.Counter{Name: source.key, Value: rnd.Uint64N(1 << 40)})
	}
	host := hostVmstat(t, labels...)
	before := vmstatOf(t, host, VmstatInput{Counters: counters, Page: page}, Policy{})
	for i := range counters {
		old := counters[i]
		for j := range counters { // a key that several labels have is several times there
			if counters[j].Name == old.Name {
				counters[j].Value = old.Value + 1<<41
			}
		}
		after := vmstatOf(t, host, VmstatInput{Counters: counters, Page: page}, Policy{})
		for label := range after {
			key, _, _ := VmstatKey(label)
			own := key == old.Name || label == "nr_zone_write_pending" && (old.Name == "file_dirty" || old.Name == "file_writeback")
			if own != (after[label] != before[label]) {
				t.Errorf("%s: %s was %d, is %d", old.Name, label, before[label], after[label])
			}
		}
		before = after
	}
}

func benchmarkVmstat(tb testing.TB) (*procfile.Vmstat, *VmstatInput) {
	tb.Helper()
	in := &VmstatInput{MemFree: 64 * miB, Page: page, IO: []limits.DeviceIO{{ReadBytes: 1 << 30}}}
	labels := []string{"nr_free_pages", "pgpgin", "pgpgout"}
	for label, source := range vmstatSources {
		labels = append(labels, label, label+"_of_another_kind")
		in.Counters = append(in.Counters, limits.Counter{Name: source.key, Value: 1 << 30})
	}
	return hostVmstat(tb, labels...), in
}

func TestVmstatAllocatesNothingWarm(t *testing.T) {
	host, in := benchmarkVmstat(t)
	var dst procfile.Vmstat
	var buf []byte
	round := func() {
		VmstatInto(&dst, host, in, Policy{})
		buf = dst.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
	var again procfile.Vmstat
	VmstatInto(&again, host, in, Policy{})
	if !bytes.Equal(again.Append(nil), buf) {
		t.Error("a reused value differs")
	}
}

func BenchmarkVmstat(b *testing.B) {
	host, in := benchmarkVmstat(b)
	var dst procfile.Vmstat
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		VmstatInto(&dst, host, in, Policy{})
		buf = dst.Append(buf[:0])
	}
}
