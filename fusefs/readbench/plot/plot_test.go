// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

var update = flag.Bool("update", false, "write the golden files anew")

func write(t *testing.T, r readbench.Report) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("not a number in the drawing:\n%s", b.String())
	}
	return b.String()
}

// sample is a run with everything that a page can show.
func sample() readbench.Report {
	var results []readbench.Result
	for _, containers := range []int{1, 100, 1000} {
		for _, readers := range []int{1, 2, 4} {
			for _, tree := range []struct {
				name string
				ns   int64
			}{{"procfs-shim", 75000}, {readbench.KernelTree, 9000}, {readbench.NullTree, 68000}, {"a<b>&c", 330000}} {
				ns := tree.ns * int64(readers+3) / 4
				results = append(results, readbench.Result{
					File: "meminfo", Tree: tree.name, Mode: readbench.Hot, Readers: readers, Containers: containers,
					Reads: 1000, P50: ns, P90: ns * 5 / 4, P99: ns * 2, ReadsPerSecond: 1e9 * float64(readers) / float64(ns), Ratio: float64(tree.ns) / 9000,
					Distribution: readbench.Distribution{
						{From: ns * 7 / 10, To: ns * 8 / 10, Reads: 10},
						{From: ns * 9 / 10, To: ns, Reads: 490},
						{From: ns, To: ns * 11 / 10, Reads: 300},
						{From: ns * 12 / 10, To: ns * 2, Reads: 200},
					},
				})
			}
		}
	}
	results[0].Errors = 3
	results = append(results, readbench.Result{File: "stat", Tree: "procfs-shim", Mode: readbench.Cold, Readers: 1, Containers: 1, Errors: 7})
	r := readbench.NewReport(results, readbench.Host{
		Kernel: "6.1.0", Arch: "amd64", CPU: "Example CPU", CPUs: 2, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	})
	for i, containers := range []int{1, 100, 1000} {
		r.Server = append(r.Server, readbench.Use{Mode: readbench.Idle, Containers: containers, RSS: int64(20+3*i) << 20})
	}
	return r
}

// TestPage compares with a file of testdata, which a person has looked at, or
// writes it with -update.
func TestPage(t *testing.T) {
	got := write(t, sample())
	path := filepath.Join("testdata", "page.svg")
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
	for _, said := range []string{"a&lt;b&gt;&amp;c", "no read succeeded", "3 wrong reads", "4 readers, 1000 containers", "against readers", "Memory of the idle server", "p50 of a read against"} {
		if !strings.Contains(got, said) {
			t.Errorf("the page doesn't say %q", said)
		}
	}
}

// TestLittle: nothing, a single point and only failures can be drawn, and so can
// times that differ as much as can be.
func TestLittle(t *testing.T) {
	for name, results := range map[string][]readbench.Result{
		"nothing":  nil,
		"a point":  {{File: "a", Tree: "b", Mode: readbench.Hot, P50: 1000, P90: 1000, P99: 1000}},
		"failures": {{File: "a", Tree: "b", Mode: readbench.Cold, Errors: 1}},
		"wide":     {{File: "a", Tree: "b", Mode: readbench.Cold, P50: 1, P90: 1e6, P99: 1e12}},
		"instant":  {{File: "a", Tree: "b", Mode: readbench.Hot, P50: 1, P90: 1, P99: 1, Distribution: readbench.Distribution{{From: 0, To: 1, Reads: 5}}}},
		"only failures in a series": {
			{File: "a", Tree: "b", Mode: readbench.Hot, Readers: 1, Containers: 1, Errors: 1},
			{File: "a", Tree: "b", Mode: readbench.Hot, Readers: 2, Containers: 1, Errors: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			page := write(t, readbench.NewReport(results, readbench.Host{}))
			if strings.Contains(page, "against") {
				t.Error("a drawing of one point")
			}
		})
	}
}
