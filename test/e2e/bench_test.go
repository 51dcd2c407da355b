// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// benchRow is one element of results.
type benchRow struct {
	File       string
	Tree       string
	Mode       string
	Readers    int
	Reads      int
	P50        int     `json:"p50_ns"`
	P90        int     `json:"p90_ns"`
	P99        int     `json:"p99_ns"`
	ReadsPerS  float64 `json:"reads_per_s"`
	FirstError string  `json:"first_error"`
}

// TestBench measures for as short as can be and reads what comes of it.
func TestBench(t *testing.T) {
	p := setup(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tree/proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tree/proc/meminfo"), []byte("MemTotal: 1 kB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plot := filepath.Join(dir, "plot.svg")
	r := p.do(t, "bench", "--duration", "500ms", "--output", "json", "--plot", plot, "--against", "plain="+dir+"/tree",
		"--file", "meminfo", "--file", "cpuinfo")
	text := r.text(t)
	if r.err != "" {
		t.Errorf("progress in a pipe: %q", r.err)
	}
	var report struct{ Results []benchRow }
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	have := map[string]bool{}
	for _, row := range report.Results {
		have[row.File+" "+row.Tree+" "+row.Mode] = true
		if row.Readers != 1 || row.Reads < 1 || row.P50 <= 0 || row.P50 > row.P90 || row.P90 > row.P99 || row.ReadsPerS <= 0 || row.FirstError != "" {
			t.Errorf("row: %+v", row)
		}
	}
	want := []string{"meminfo plain hot", "meminfo plain cold"}
	for _, file := range []string{"meminfo", "cpuinfo"} {
		for _, tree := range []string{"kernel", "procfs-shim", "procfs-shim-shared"} {
			want = append(want, file+" "+tree+" hot", file+" "+tree+" cold")
		}
	}
	if strings.Contains(file(t, "/proc/self/mountinfo"), " /var/lib/lxcfs ") {
		want = append(want, "meminfo lxcfs hot", "cpuinfo lxcfs cold")
	}
	for _, row := range want {
		if !have[row] {
			t.Errorf("no row %q", row)
		}
	}
	if slices.ContainsFunc(report.Results, func(r benchRow) bool { return r.File == "cpuinfo" && r.Tree == "plain" }) {
		t.Error("a row for a file that the tree hasn't")
	}
	svg := file(t, plot)
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
	for _, word := range []string{"<svg", "meminfo", "kernel", "procfs-shim-shared", "plain"} {
		if !strings.Contains(svg, word) {
			t.Errorf("no %q in the plot", word)
		}
	}
	table := p.do(t, "bench", "--duration", "100ms", "--mode", "hot", "--readers", "2", "--file", "cpu/online").text(t)
	for _, word := range []string{"kernel", "procfs-shim-shared", "online", "hot"} {
		if !strings.Contains(table, word) {
			t.Errorf("no %q in the table:\n%s", word, table)
		}
	}
	if strings.Contains(table, "cold") {
		t.Errorf("--mode hot:\n%s", table)
	}
	if left, err := filepath.Glob("/run/procfs-shim-bench-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBenchFails: what can't be measured, and a place where nothing can be
// written.
func TestBenchFails(t *testing.T) {
	p := setup(t)
	r := p.do(t, "bench", "--duration", "100ms", "--mode", "hot", "--file", "cpu/online", "--against", "none=/no/such/tree")
	r.refused(t, 1, "/no/such/tree")
	r = p.do(t, "bench", "--duration", "100ms", "--mode", "hot", "--file", "cpu/online", "--plot", "/no/such/dir/plot.svg")
	r.refused(t, 1, "--plot", "/no/such/dir/plot.svg")
}
