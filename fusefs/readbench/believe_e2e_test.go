// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package readbench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// Where things are in the container.
const (
	inside   = "/run/believe"
	ours     = "/proc/meminfo"
	kernels  = inside + "/proc/meminfo"
	constant = inside + "/tmp/text" // on a tmpfs
)

const (
	rounds   = 3
	seconds  = "2"
	duration = 2 * time.Second
	// apartFactor is how far the two may be apart until the test fails: it is about
	// what is measured, not about how busy this machine is. On an idle one they
	// are within 20 %.
	apartFactor = 10
)

// TestBelievable compares what package readbench measures with what anybody would
// write in an evening: a loop of os.open, os.read and os.close in Python, in the
// same container, by turns. An interpreter takes a while for itself. How long, a
// file tells that costs next to nothing: the loop's time for one on a tmpfs, less
// readbench's for it, is taken off what the loop says of the others. What is
// compared is how many times as long as the kernel's file ours takes.
func TestBelievable(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.RequireOverlay(t)
	python, err := exec.Command(testenv.RequireTool(t, "python3"), "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	binary := testenv.Binary(t)
	testenv.NoLeaks(t)
	dir := t.TempDir()
	loop, err := os.ReadFile("testdata/loop.py")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := json.Marshal(apart.Plan{
		Modes: []readbench.Mode{readbench.Hot}, Readers: 1, Duration: duration, Proc: inside + "/proc",
		Rows: []apart.Row{{Tree: "ours", Path: ours}, {Tree: "kernel", Path: kernels}, {Tree: "tmpfs", Path: constant}},
	})
	if err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(dir, "files")
	text := strings.Repeat("MemTotal:         262144 kB\n", 55)
	if err := errors.Join(os.Mkdir(files, 0o755), os.WriteFile(filepath.Join(files, "loop.py"), loop, 0o644),
		os.WriteFile(filepath.Join(files, "plan"), plan, 0o644), os.WriteFile(filepath.Join(files, "text"), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("cp %[1]s/files/text %[2]s && for round in $(seq %[3]d); do %[1]s/bench bench-reader <%[1]s/files/plan && %[4]s %[1]s/files/loop.py %[5]s %[6]s %[7]s %[2]s || exit; done",
		inside, constant, rounds, strings.TrimSpace(string(python)), seconds, ours, kernels)
	cmd := exec.Command(binary, "run", "--state-dir", filepath.Join(dir, "state"), "--data-dir", filepath.Join(dir, "data"),
		"--rootfs", "/", "--memory", "256m", "-v", files+":"+inside+"/files:ro", "-v", binary+":"+inside+"/bench:ro", "-v", "/proc:"+inside+"/proc:ro",
		"--tmpfs", inside+"/tmp", "--", "sh", "-c", script)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, errs.String(), out)
	}
	bench, looped := parse(t, out)
	own := looped[constant] - bench["tmpfs"]
	byLoop := (looped[ours] - own) / (looped[kernels] - own)
	byBench := bench["ours"] / bench["kernel"]
	t.Logf("meminfo, ours ÷ the kernel's: %.2f by the loop, %.2f by bench: %+.0f %%", byLoop, byBench, 100*(byLoop/byBench-1))
	t.Logf("µs by bench: ours %.1f, the kernel's %.1f, tmpfs %.1f; by the loop: %.1f, %.1f, %.1f, of which %.1f its own",
		bench["ours"]/1e3, bench["kernel"]/1e3, bench["tmpfs"]/1e3, looped[ours]/1e3, looped[kernels]/1e3, looped[constant]/1e3, own/1e3)
	if byLoop <= 0 || byLoop > apartFactor*byBench || byBench > apartFactor*byLoop {
		t.Errorf("they are more than %d times apart", apartFactor)
	}
}

// parse gives the median of the rounds' medians, in nanoseconds: bench's by
// trees, the loop's by paths.
func parse(t *testing.T, out []byte) (bench, looped map[string]float64) {
	t.Helper()
	benches, loops := map[string][]float64{}, map[string][]float64{}
	for line := range bytes.Lines(out) {
		var said struct {
			Report *readbench.Report
			Loop   map[string]float64
		}
		if err := json.Unmarshal(line, &said); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		for path, ns := range said.Loop {
			loops[path] = append(loops[path], ns)
		}
		if said.Report == nil {
			continue
		}
		for _, r := range said.Report.Results {
			if r.Errors > 0 {
				t.Fatalf("%s: %s", r.Tree, r.FirstError)
			}
			benches[r.Tree] = append(benches[r.Tree], float64(r.P50))
		}
	}
	return medians(t, benches), medians(t, loops)
}

func medians(t *testing.T, of map[string][]float64) map[string]float64 {
	t.Helper()
	if len(of) != 3 {
		t.Fatalf("three files were measured: %v", of)
	}
	m := map[string]float64{}
	for name, values := range of {
		if len(values) != rounds {
			t.Fatalf("%s: %d rounds, want %d", name, len(values), rounds)
		}
		slices.Sort(values)
		m[name] = values[rounds/2]
	}
	return m
}
