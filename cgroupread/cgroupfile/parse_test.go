// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]limits.Limit{
		"max\n":                  limits.None(),
		"max":                    limits.None(),
		"0\n":                    limits.To(0),
		"4096\n":                 limits.To(4096),
		"9223372036854771712\n":  limits.None(),                  // PAGE_COUNTER_MAX, 4 KiB pages
		"9223372036854710272\n":  limits.None(),                  // … 64 KiB pages
		"9223372036854775807\n":  limits.None(),                  // 2^63 − 1
		"9223372036854775808\n":  limits.None(),                  // 2^63
		"18446744073709551615\n": limits.None(),                  // 2^64 − 1
		"18446744073709551616\n": limits.None(),                  // 2^64
		"4611686018427387904\n":  limits.To(4611686018427387904), // 2^62, absurd but a limit
	} {
		got, err := ParseLimit([]byte(text))
		if err != nil || got != want {
			t.Errorf("ParseLimit(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", "-1\n", "MAX\n", "max max\n", "1 2\n", "4k\n", "0x10\n", "1.5\n", "1\n2\n", "٤\n"} {
		got, err := ParseLimit([]byte(text))
		var pe *ParseError
		if !errors.As(err, &pe) || got != limits.None() {
			t.Errorf("ParseLimit(%q) = %v, %v, want a ParseError", text, got, err)
		}
	}
}

func TestParseUsage(t *testing.T) {
	for text, want := range map[string]uint64{"0\n": 0, "42\n": 42, "18446744073709551615\n": math.MaxUint64} {
		if got, err := ParseUsage([]byte(text)); err != nil || got != want {
			t.Errorf("ParseUsage(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "max\n", "-1\n", "18446744073709551616\n", "x"} {
		if got, err := ParseUsage([]byte(text)); err == nil {
			t.Errorf("ParseUsage(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseQuota(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		v2, quota, period string // v2, or the two of v1
		want              limits.Quota
		bad               bool
	}{
		{v2: "max 100000\n"},
		{v2: "50000 100000\n", want: limits.Quota{Quota: 50 * ms, Period: 100 * ms}},
		{v2: "150000 100000", want: limits.Quota{Quota: 150 * ms, Period: 100 * ms}},
		{v2: "17592186044415 1000000\n", want: limits.Quota{Quota: 17592186044415 * time.Microsecond, Period: time.Second}},
		{v2: "18446744073709551615 1000\n", want: limits.Quota{Quota: math.MaxInt64, Period: ms}},
		{v2: "", bad: true},
		{v2: "max\n", bad: true},
		{v2: "max 0\n", bad: true},
		{v2: "50000 max\n", bad: true},
		{v2: "-1 100000\n", bad: true},
		{v2: "50000 100000 5\n", bad: true},
		{v2: "50000  100000\n", bad: true},
		{quota: "-1\n", period: "100000\n"},
		{quota: "50000\n", period: "100000\n", want: limits.Quota{Quota: 50 * ms, Period: 100 * ms}},
		{quota: "50000\n", period: "0\n", bad: true},
		{quota: "50000\n", period: "", bad: true},
		{quota: "x\n", period: "100000\n", bad: true},
		{quota: "max\n", period: "100000\n", bad: true},
	} {
		got, err := ParseCPUMax([]byte(c.v2))
		if c.quota != "" {
			got, err = ParseCFS([]byte(c.quota), []byte(c.period))
		}
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q %q/%q = %v, %v, want %v", c.v2, c.quota, c.period, got, err, c.want)
		}
	}
}

func TestParseMemoryStat(t *testing.T) {
	text := "anon 1\nfile 2\nkernel 99\nkernel_stack 3\npagetables 4\nsec_pagetables 5\npercpu 6\nvmalloc 7\nshmem 8\n" +
		"zswap 9\nzswapped 10\nfile_mapped 11\nfile_dirty 12\nfile_writeback 13\nswapcached 14\nanon_thp 15\nfile_thp 16\n" +
		"shmem_thp 17\ninactive_anon 18\nactive_anon 19\ninactive_file 20\nactive_file 21\nunevictable 22\n" +
		"slab_reclaimable 23\nslab_unreclaimable 24\nslab 25\nworkingset_refault_anon 99\nfile_mappedx 99\n"
	want := limits.MemoryStat{
		Anon: 1, File: 2, KernelStack: 3, PageTables: 4, SecPageTables: 5, Percpu: 6, Vmalloc: 7, Shmem: 8,
		Zswap: 9, Zswapped: 10, FileMapped: 11, FileDirty: 12, FileWriteback: 13, SwapCached: 14, AnonTHP: 15,
		FileTHP: 16, ShmemTHP: 17, InactiveAnon: 18, ActiveAnon: 19, InactiveFile: 20, ActiveFile: 21,
		Unevictable: 22, SlabReclaimable: 23, SlabUnreclaimable: 24, Slab: 25,
	}
	var got limits.MemoryStat
	if err := ParseMemoryStat([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	// Missing keys are 0, wherever the text ends.
	got = limits.MemoryStat{}
	if err := ParseMemoryStat([]byte("anon 7"), &got); err != nil || got != (limits.MemoryStat{Anon: 7}) {
		t.Errorf("one key: %+v, %v", got, err)
	}
	if err := ParseMemoryStat(nil, &got); err != nil {
		t.Errorf("empty: %v", err)
	}
}

func TestParseMemoryStatV1(t *testing.T) {
	text := "cache 99\nrss 99\nshmem 99\nhierarchical_memory_limit 99\n" +
		"total_cache 1\ntotal_rss 2\ntotal_rss_huge 3\ntotal_shmem 4\ntotal_mapped_file 5\ntotal_dirty 6\n" +
		"total_writeback 7\ntotal_swap 8\ntotal_swapcached 9\ntotal_pgpgin 99\ntotal_inactive_anon 10\n" +
		"total_active_anon 11\ntotal_inactive_file 12\ntotal_active_file 13\ntotal_unevictable 14\n"
	want := limits.MemoryStat{
		File: 1, Anon: 2, AnonTHP: 3, Shmem: 4, FileMapped: 5, FileDirty: 6, FileWriteback: 7, SwapCached: 9,
		InactiveAnon: 10, ActiveAnon: 11, InactiveFile: 12, ActiveFile: 13, Unevictable: 14,
	}
	var got limits.MemoryStat
	swap, err := ParseMemoryStatV1([]byte(text), &got)
	if err != nil || swap != 8 {
		t.Fatalf("swap %d, %v", swap, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestParseMemoryStatRefuses(t *testing.T) {
	for text, line := range map[string]int{
		"anon\n":                              1,
		"anon 1\n\nfile 2\n":                  2,
		"anon 1\nfile x\n":                    2,
		"anon 1\nfile -2\n":                   2,
		"anon 1\nfile 2 3\n":                  2,
		" 5\n":                                1,
		"anon 1\nfile 18446744073709551616\n": 2,
	} {
		var stat limits.MemoryStat
		var pe *ParseError
		if err := ParseMemoryStat([]byte(text), &stat); !errors.As(err, &pe) || pe.Line != line {
			t.Errorf("v2 %q: %v, want a ParseError of line %d", text, err, line)
		}
		if _, err := ParseMemoryStatV1([]byte(text), &stat); !errors.As(err, &pe) || pe.Line != line {
			t.Errorf("v1 %q: %v, want a ParseError of line %d", text, err, line)
		}
	}
	err := lineError(3, []byte(strings.Repeat("\x1b", 4096)), errNotNumber)
	if text := err.Error(); len(text) > 500 || strings.Contains(text, "\x1b") {
		t.Errorf("a hostile line gives a message of %d bytes: %s", len(text), text)
	}
}

func TestHugePagesIn(t *testing.T) {
	got := HugePagesIn([]string{
		"hugetlb.1GB.max", "hugetlb.2MB.max", "hugetlb.2MB.current", "hugetlb.2MB.rsvd.max", "hugetlb.64KB.limit_in_bytes",
		"hugetlb.0MB.max", "hugetlb.xMB.max", "hugetlb.MB.max", "hugetlb.5.max", "hugetlb.max", "memory.max", "hugetlb.99999999999MB.max",
	})
	v2 := func(n uint64, size string) HugePages {
		p := "hugetlb." + size
		return HugePages{n, p + ".max", p + ".current", p + ".rsvd.max", p + ".rsvd.current"}
	}
	want := []HugePages{
		{64 << 10, "hugetlb.64KB.limit_in_bytes", "hugetlb.64KB.usage_in_bytes", "hugetlb.64KB.rsvd.limit_in_bytes", "hugetlb.64KB.rsvd.usage_in_bytes"},
		v2(2<<20, "2MB"), v2(1<<30, "1GB"),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
