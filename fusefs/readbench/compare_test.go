// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// TestCompare: a busier machine, on which all is twice as slow, changes nothing;
// a row that is slower than the null server's was, does.
func TestCompare(t *testing.T) {
	run := func(machine, ours float64) Report {
		results := []Result{
			{File: "stat", Tree: KernelTree, P50: int64(10000 * machine)},
			{File: "stat", Tree: NullTree, P50: int64(50000 * machine)},
			{File: "stat", Tree: "ours", P50: int64(60000 * machine * ours)},
			{File: "swaps", Tree: KernelTree, P50: int64(4000 * machine)},
			{File: "swaps", Tree: "ours", P50: int64(40000 * machine)},
			{File: "only", Tree: "ours", P50: int64(40000 * machine)},
		}
		for i := range results {
			results[i].Mode, results[i].Readers, results[i].Containers = Hot, 1, 1
		}
		addRatios(results)
		return NewReport(results, Host{})
	}
	for _, c := range []struct{ machine, ours, slower float64 }{{1, 1, 0}, {2, 1, 0}, {0.5, 1.5, 0.5}, {3, 0.5, -0.5}} {
		changes, err := Compare(run(1, 1), run(c.machine, c.ours))
		if err != nil || len(changes) != 2 {
			t.Fatalf("%+v, %v", changes, err)
		}
		stat, swaps := changes[0], changes[1]
		if stat.File != "stat" || stat.To != NullTree || math.Abs(stat.Slower-c.slower) > 1e-9 || math.Abs(stat.Before-1.2) > 1e-9 {
			t.Errorf("%+v: %+v", c, stat)
		}
		if swaps.File != "swaps" || swaps.To != KernelTree || swaps.Slower != 0 || swaps.Now != 10 {
			t.Errorf("%+v: %+v", c, swaps)
		}
	}
	other := run(1, 1)
	for i := range other.Results {
		other.Results[i].Containers = 2
	}
	if _, err := Compare(run(1, 1), other); !errors.Is(err, ErrNothingInCommon) {
		t.Errorf("reports with other numbers of containers: %v", err)
	}
}

func TestWriteChanges(t *testing.T) {
	var b strings.Builder
	err := WriteChanges(&b, []Change{
		{File: "stat", Tree: "ours", Mode: Hot, Readers: 1, Containers: 1, To: NullTree, Before: 1.2, Now: 1.5, Slower: 0.25},
		{File: "swaps", Tree: "ours", Mode: Cold, Readers: 4, Containers: 1000, To: KernelTree, Before: 10, Now: 5, Slower: -0.5},
		{File: "uptime", Tree: "ours", Mode: Cold, Readers: 4, Containers: 1000, To: KernelTree, Before: 10, Now: 10.2, Slower: 0.02},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "changes.txt", b.String())
}

func TestReadReportRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "no report",
		"FILE TREE MODE":                         `"FILE TREE`,
		"[]":                                     "no report",
		"{}":                                     "without results",
		`{"results":[]}`:                         "without results",
		`{"results":[{"distribution":"9-5:1"}]}`: "out of order",
		`{"results":[{"distribution":5}]}`:       "no report",
	} {
		if _, err := ReadReport(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
	old, err := ReadReport(strings.NewReader(`{"results":[{"file":"meminfo"}]}`))
	if err != nil || old.Results[0].Containers != 1 {
		t.Errorf("a report from before there were containers: %+v, %v", old, err)
	}
}

// TestDistribution: each time is in its bin, and the bins are those of the
// histogram.
func TestDistribution(t *testing.T) {
	var h histogram
	for _, ns := range []int64{0, 1, 7, 8, 127, 128, 1000, 1000, 69000, 1 << 39, 1<<40 - 1} {
		h.add(time.Duration(ns))
		found := 0
		for _, b := range h.distribution() {
			if b.From <= ns && ns < b.To {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d ns is in %d bins of %v", ns, found, h.distribution())
		}
	}
	d := h.distribution()
	if d.Reads() != 11 {
		t.Errorf("%d reads", d.Reads())
	}
	for _, b := range d {
		if b.From >= 1024 && float64(b.To)/float64(b.From) > 1.13 {
			t.Errorf("a wide bin: %+v", b)
		}
	}
}

func FuzzDistribution(f *testing.F) {
	for _, seed := range []string{"", "0-8:1", "0-8:1 8-16:2 1000-2000:18446744073709551615", "8-0:1", "1-2:0", "1-2", "1:2", "-1-2:3", "1-2:3 0-1:1", "x-y:z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Distribution
		if err := d.UnmarshalText([]byte(text)); err != nil {
			if !strings.HasPrefix(err.Error(), "distribution: ") {
				t.Errorf("%v", err)
			}
			return
		}
		back, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again Distribution
		if err := again.UnmarshalText(back); err != nil || len(again) != len(d) {
			t.Errorf("%q became %q: %v", text, back, err)
		}
		for i := range d {
			if d[i] != again[i] {
				t.Errorf("%q became %q", text, back)
			}
		}
	})
}
