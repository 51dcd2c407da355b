// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// TestBenchRefuses: what can't be measured or compared is told before anything is
// made.
func TestBenchRefuses(t *testing.T) {
	table := filepath.Join(t.TempDir(), "table.txt")
	if err := os.WriteFile(table, []byte("FILE TREE MODE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, says := range map[string]string{
		"--readers 65":                  "1 to 64",
		"--readers 2,1":                 "larger",
		"--readers 1,":                  "--readers",
		"--containers 0":                "--containers",
		"--containers 1,2,2":            "larger",
		"--containers many":             "many",
		"--against null=/":              "taken",
		"--fail-slower 10":              "--baseline",
		"--baseline x --fail-slower -1": "below 0",
		"--baseline /no/such/file":      "/no/such/file",
		"--baseline " + table:           "no report in JSON",
		"--file nonsense":               "--file",
	} {
		root := newRootCommand()
		root.SetArgs(append([]string{"bench"}, strings.Fields(line)...))
		err := root.Execute()
		status, ok := err.(exitStatus) //nolint:errorlint // it is what main looks for, unwrapped
		if !ok || status.code != exitUsage || !strings.Contains(status.Error(), says) {
			t.Errorf("%s: %v, want status %d and %q", line, err, exitUsage, says)
		}
	}
}

// TestBenchPlan: a row for each file and tree, in an order in which the rows of a
// file are together; where many read, no quota is in their way.
func TestBenchPlan(t *testing.T) {
	f := benchFlags{modes: "hot", readers: "1", containers: "1", duration: 1e9, format: "text"}
	b, err := f.check()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"proc/cpuinfo", "proc/meminfo", "proc/stat", "sys/devices/system/cpu/online"}; !slices.Equal(b.files, want) {
		t.Errorf("files %q, want %q", b.files, want)
	}
	b.hostCPUs = cpulist.Range(0, 2)
	if o := b.container(); o.CPUs != "2" || o.Memory != "268435456" {
		t.Errorf("%s CPUs and %s of memory", o.CPUs, o.Memory)
	}
	p := b.plan(map[string]string{"proc/stat": "cpu  1\n"})
	if len(p.Rows) < 4*len(b.files) {
		t.Fatalf("%d rows", len(p.Rows))
	}
	for _, r := range p.Rows {
		if r.Tree == boundTree && r.File == "cpu/online" && (r.Text != "0-1\n" || r.Path != "/sys/devices/system/cpu/online") {
			t.Errorf("%+v", r)
		}
		if r.Tree == "null" && r.File == "stat" && r.Text != "cpu  1\n" {
			t.Errorf("%+v", r)
		}
	}
	b.readers = []int{1, 4}
	if o := b.container(); o.CPUs != "" {
		t.Errorf("%s CPUs for four readers", o.CPUs)
	}
}
