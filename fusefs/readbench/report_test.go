// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestHistogramError compares with the exact quantiles of the same times, and
// holds what QuantileError promises.
func TestHistogramError(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"single":     func() float64 { return 12345 },
		"small":      func() float64 { return float64(rng.IntN(200)) },
		"log-normal": func() float64 { return math.Exp(11 + 2*rng.NormFloat64()) },
		"long":       func() float64 { return 1e9 * float64(1+rng.IntN(900)) },
	} {
		h := new(histogram)
		var exact []float64
		for range 20000 {
			v := math.Floor(draw())
			h.add(time.Duration(v))
			exact = append(exact, v)
		}
		slices.Sort(exact)
		for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 1} {
			want := exact[int(math.Ceil(q*float64(len(exact))))-1]
			got := float64(h.quantile(q))
			if math.Abs(got-want) > want*QuantileError {
				t.Errorf("%s: quantile %v is %v, exactly %v", name, q, got, want)
			}
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	h := new(histogram)
	if h.quantile(0.5) != 0 {
		t.Error("quantile of nothing")
	}
	for _, d := range []time.Duration{-5, 0, 1, 63, 64, 127, 128, 1 << 39, 1<<40 - 1, 1 << 40, math.MaxInt64} {
		h.add(d) // none may be out of range
	}
	o := new(histogram)
	o.add(time.Second)
	h.merge(o)
	if h.n != 12 {
		t.Errorf("%d times", h.n)
	}
	last := time.Duration(-1)
	for b := range buckets {
		m := middle(b)
		if m <= last || bucketOf(uint64(m)) != b {
			t.Fatalf("bucket %d: middle %d after %d lies in bucket %d", b, m, last, bucketOf(uint64(m)))
		}
		last = m
	}
}

func sampleReport() Report {
	results := []Result{
		{File: "cpuinfo", Tree: "kernel", Mode: Hot, Readers: 1, Reads: 52000, P50: 18400, P90: 21900, P99: 41000, ReadsPerSecond: 51200.4},
		{File: "cpuinfo", Tree: "procfs-shim", Mode: Hot, Readers: 1, Reads: 13000, P50: 72100, P90: 88000, P99: 190000, ReadsPerSecond: 13100},
		{File: "cpuinfo", Tree: "null", Mode: Hot, Readers: 1, Reads: 14000, P50: 66000, P90: 82000, P99: 170000, ReadsPerSecond: 14000},
		{File: "meminfo", Tree: "kernel", Mode: Hot, Readers: 1, Reads: 99000, P50: 9120, P90: 10100, P99: 19000, ReadsPerSecond: 104000},
		{File: "meminfo", Tree: "procfs-shim", Mode: Hot, Readers: 1, Reads: 12000, P50: 79000, P90: 95000, P99: 240000, ReadsPerSecond: 11800, Errors: 3, FirstError: "/x/proc/meminfo: content: MemTotal: \"1 kB\""},
		{File: "meminfo", Tree: "a<b>&c", Mode: Hot, Readers: 1, Errors: 7, FirstError: "/y/meminfo: open: no such file or directory"},
		{File: "meminfo", Tree: "kernel", Mode: Cold, Readers: 1, Reads: 250, P50: 57000, P90: 81000, P99: 140000, ReadsPerSecond: 16000},
		{File: "meminfo", Tree: "procfs-shim", Mode: Cold, Readers: 1, Reads: 250, P50: 201000, P90: 290000, P99: 1210000, ReadsPerSecond: 4400, Distribution: Distribution{{180000, 196608, 100}, {196608, 212992, 150}}},
		{File: "meminfo", Tree: "lxcfs", Mode: Cold, Readers: 1, Reads: 250, P50: 402000, P90: 490000, P99: 1410000, ReadsPerSecond: 2200},
	}
	addRatios(results[:6])
	addRatios(results[6:])
	for i := range results {
		results[i].Containers = 1
	}
	r := NewReport(results, Host{Kernel: "6.1.0", Arch: "amd64", CPU: "Example CPU", CPUs: 2, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	r.Server = []Use{
		{Mode: Idle, Containers: 1, Wall: 3, CPU: 0.0003, RSS: 21 << 20, Threads: 9, Descriptors: 31},
		{Mode: Hot, Readers: 1, Containers: 1, Wall: 10, CPU: 2.5, Reads: 25000, RSS: 22 << 20, Threads: 9, Descriptors: 31},
		{Mode: Idle, Containers: 1025, Wall: 3, CPU: 0.003, RSS: 29 << 20, Threads: 9, Descriptors: 31},
	}
	return r
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestOutputs(t *testing.T) {
	report := sampleReport()
	var table, object strings.Builder
	if err := errors.Join(WriteTable(&table, report.Results), WriteUse(&table, report.Server), WriteJSON(&object, report)); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", table.String())
	golden(t, "report.json", object.String())
	back, err := ReadReport(strings.NewReader(object.String()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	var b strings.Builder
	if err := WriteJSON(&b, NewReport(nil, Host{})); err != nil || !strings.Contains(b.String(), `"results": []`) {
		t.Errorf("JSON of nothing: %s, %v", b.String(), err)
	}
}

// TestTableOfSeries: what was varied has a column.
func TestTableOfSeries(t *testing.T) {
	row := func(readers, containers int) Result {
		return Result{File: "f", Readers: readers, Containers: containers}
	}
	for _, c := range []struct {
		results             []Result
		readers, containers bool
	}{
		{nil, false, false},
		{[]Result{row(2, 7), row(2, 7)}, false, false},
		{[]Result{row(1, 7), row(2, 7)}, true, false},
		{[]Result{row(1, 7), row(1, 7), row(1, 8)}, false, true},
	} {
		var b strings.Builder
		if err := WriteTable(&b, c.results); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "READERS") != c.readers || strings.Contains(b.String(), "CONTAINERS") != c.containers {
			t.Errorf("%v:\n%s", c.results, b.String())
		}
	}
}

func TestReadHost(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cpuinfo"), []byte("processor\t: 0\nmodel name\t: Example @ 2 GHz: x\n\nprocessor\t: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHost(dir, time.Unix(1e9, 5))
	if err != nil || h.CPU != "Example @ 2 GHz: x" || h.Kernel == "" || h.CPUs < 1 || h.Date.Nanosecond() != 0 {
		t.Errorf("ReadHost = %+v, %v", h, err)
	}
}
