// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

func TestParseCounters(t *testing.T) {
	got, err := ParseCounters(nil, []byte("anon 1\nfile 2\npgfault "+maxUint+"\n"), "")
	want := []limits.Counter{{Name: "anon", Value: 1}, {Name: "file", Value: 2}, {Name: "pgfault", Value: math.MaxUint64}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	got, err = ParseCounters(got, []byte("cache 3\ntotal_ 9\ntotal_cache 4\nhierarchical_memory_limit 5\ntota 1\n"), "total_")
	want = append(want, limits.Counter{Name: "cache", Value: 4})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for text, line := range map[string]int{"a\n": 1, "a 1\n\n": 2, "a 1\nb -1\n": 2, " 1\n": 1, "a 18446744073709551616\n": 1} {
		if _, err := ParseCounters(nil, []byte(text), ""); errorLine(err) != line {
			t.Errorf("%q: %v, want an error in line %d", text, err, line)
		}
	}
}

// Parsing again into the same memory makes no names, and none are mixed up where
// the file has changed.
func TestParseCountersAgain(t *testing.T) {
	text := []byte("anon 1\nfile 2\nshmem 3\n")
	counters, err := ParseCounters(nil, text, "")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { counters, err = ParseCounters(counters[:0], text, "") }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	counters, err = ParseCounters(counters[:0], []byte("anon 4\nkernel 5\nfile 6\nshmem 7\n"), "")
	want := []limits.Counter{{Name: "anon", Value: 4}, {Name: "kernel", Value: 5}, {Name: "file", Value: 6}, {Name: "shmem", Value: 7}}
	if err != nil || !slices.Equal(counters, want) {
		t.Errorf("%v, %v, want %v", counters, err, want)
	}
}

func TestParseOOMKill(t *testing.T) {
	for text, want := range map[string]struct {
		n    uint64
		ok   bool
		line int
	}{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n": {3, true, 0},
		"oom_kill_disable 0\nunder_oom 0\n":             {0, false, 0},
		"":                                              {0, false, 0},
		"oom_kill_disable 0\noom_kill x\n":              {0, false, 2},
	} {
		if n, ok, err := ParseOOMKill([]byte(text)); n != want.n || ok != want.ok || errorLine(err) != want.line {
			t.Errorf("%q: %d, %v, %v, want %+v", text, n, ok, err, want)
		}
	}
}

func TestParseNumaStat(t *testing.T) {
	got, err := ParseNumaStat(nil, []byte("anon N0=1 N2=2\nfile N0=3 N2=4\nslab_reclaimable N0=5 N2=6\nslab_unreclaimable N0=7 N2="+maxUint+"\nworkingset_refault_anon N0=9 N2=9\n"))
	want := []limits.NodeMemory{
		{Node: 0, Stat: limits.MemoryStat{Anon: 1, File: 3, SlabReclaimable: 5, SlabUnreclaimable: 7, Slab: 12}},
		{Node: 2, Stat: limits.MemoryStat{Anon: 2, File: 4, SlabReclaimable: 6, SlabUnreclaimable: math.MaxUint64, Slab: math.MaxUint64}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("v2: %v (-want +got)\n%s", err, d)
	}
	got, err = ParseNumaStatV1(nil, []byte("total=9 N0=9\nfile=9 N0=9\nhierarchical_total=10 N0=6 N1=4\nhierarchical_file=5 N0=3 N1=2\n"+
		"hierarchical_anon=4 N0=3 N1=1\nhierarchical_unevictable=1 N0=0 N1="+maxUint+"\n"), 4096)
	want = []limits.NodeMemory{
		{Node: 0, Stat: limits.MemoryStat{File: 3 * 4096, Anon: 3 * 4096}},
		{Node: 1, Stat: limits.MemoryStat{File: 2 * 4096, Anon: 4096, Unevictable: math.MaxUint64}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("v1: %v (-want +got)\n%s", err, d)
	}
	for text, line := range map[string]int{
		"\n": 1, " N0=1\n": 1, "anon\n": 1, "anon \n": 1, "anon N0\n": 1, "anon N=1\n": 1, "anon 0=1\n": 1, "anon NN=1\n": 1, "anon N0=\n": 1, "anon N0=x\n": 1,
		"anon N0=1\nfile N0=18446744073709551616\n": 2, "anon N99999999999=1\n": 1, "anon N0=1  N1=1\n": 1,
	} {
		if got, err := ParseNumaStat(nil, []byte(text)); errorLine(err) != line {
			t.Errorf("v2 %q: %v, %v, want an error in line %d", text, got, err, line)
		}
	}
	for text, line := range map[string]int{"anon N0=1\n": 1, "=1 N0=1\n": 1, "anon=1 N0=x\n": 1, "anon=1\n": 1, "": 0} {
		if got, err := ParseNumaStatV1(nil, []byte(text), 4096); errorLine(err) != line {
			t.Errorf("v1 %q: %v, %v, want an error in line %d", text, got, err, line)
		}
	}
}

func TestParseTIDs(t *testing.T) {
	for _, c := range []struct {
		text     string
		most     int
		want     []int
		complete bool
		line     int
	}{
		{text: "5\n7\n", most: 2, want: []int{5, 7}, complete: true},
		{text: "5\n7\n9\n", most: 2, want: []int{5, 7}},
		{text: "0\n5\n0\n", most: 1, want: []int{5}, complete: true},
		{text: "5", most: 1, want: []int{5}, complete: true},
		{text: "", most: 0, complete: true},
		{text: "5\n", most: 0},
		{text: "2147483647\n", most: 9, want: []int{math.MaxInt32}, complete: true},
		{text: "5\n2147483648\n", most: 9, line: 2},
		{text: "5\n\n", most: 9, line: 2},
		{text: "-5\n", most: 9, line: 1},
		{text: "a\n", most: 9, line: 1},
	} {
		got, complete, err := ParseTIDs(nil, []byte(c.text), c.most)
		if line := errorLine(err); line != c.line || err == nil && (!slices.Equal(got, c.want) || complete != c.complete) {
			t.Errorf("%q, most %d: %v, %v, %v, want %v, %v, an error in line %d", c.text, c.most, got, complete, err, c.want, c.complete, c.line)
		}
	}
}

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string]string{"0-3,8\n": "0-3,8", "\n": "", "": "", "1": "1"} {
		if got, err := ParseCPUList([]byte(text)); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0-\n", "x", "99999999\n", maxUint} {
		if got, err := ParseCPUList([]byte(text)); errorLine(err) != 1 || !got.IsEmpty() {
			t.Errorf("%q: %v, %v, want a ParseError", text, got, err)
		}
	}
}
