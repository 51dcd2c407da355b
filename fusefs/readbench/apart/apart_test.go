// SPDX-License-Identifier: Apache-2.0

package apart

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// TestRoundTrip measures files of which one says what it must and the others
// don't, through both ends.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	meminfo := file("meminfo", "MemTotal:       262144 kB\nMemFree:        1 kB\n")
	file("cpuinfo", "processor\t: 0\nmodel name\t: a\n\n")
	plan := Plan{
		Modes: []readbench.Mode{readbench.Hot}, Readers: 1, Duration: 100 * time.Millisecond, Proc: dir,
		Rows: []Row{
			{File: "value", Tree: "right", Path: meminfo, Key: "MemTotal:", Value: "262144 kB"},
			{File: "value", Tree: "wrong", Path: meminfo, Key: "MemTotal:", Value: "1 kB"},
			{File: "count", Tree: "right", Path: meminfo, Prefix: "Mem", Lines: 2},
			{File: "count", Tree: "wrong", Path: meminfo, Prefix: "Mem", Lines: 3},
			{File: "text", Tree: "right", Path: file("online", "0-1\n"), Text: "0-1\n"},
			{File: "text", Tree: "wrong", Path: meminfo, Text: "0-1\n"},
			{File: "anything", Tree: "right", Path: meminfo},
			{File: "nothing", Tree: "right", Path: file("empty", ""), Empty: true},
			{File: "nothing", Tree: "wrong", Path: file("empty", "")},
		},
	}
	remote, end := start(t)
	for round := range 2 {
		told := 0
		report, err := remote.Measure(plan, func(readbench.Progress) { told++ })
		if err != nil || told == 0 || len(report.Results) != len(plan.Rows) {
			t.Fatalf("round %d: %d lines of progress, %d results, %v", round, told, len(report.Results), err)
		}
		for _, r := range report.Results {
			if (r.Errors > 0) != (r.Tree == "wrong") {
				t.Errorf("%s, which is %s: %d errors, %q", r.File, r.Tree, r.Errors, r.FirstError)
			}
		}
	}
	if err := end(); err != nil {
		t.Errorf("at the end of plans: %v", err)
	}
}

// start starts a process, so to speak; end gives what came of it.
func start(t *testing.T) (r *Running, end func() error) {
	t.Helper()
	r, err := Run(func(stdin, stdout *os.File) error { return Serve(t.Context(), stdin, stdout) })
	if err != nil {
		t.Fatal(err)
	}
	return r, r.Close
}

func TestProcessEnds(t *testing.T) {
	remote, end := start(t)
	if _, err := remote.Measure(Plan{Readers: -1}, nil); !errors.Is(err, ErrNoReport) {
		t.Errorf("a plan that can't be carried out: %v", err)
	}
	<-remote.Ended
	if _, err := remote.Measure(Plan{}, nil); err == nil {
		t.Error("a plan for a process that is gone was carried out")
	}
	if end() == nil {
		t.Error("the process ended well")
	}
}

func TestServeRefuses(t *testing.T) {
	for _, text := range []string{"{", "nonsense", `{"rows":[]}`, `{"readers":-1}`} {
		if err := Serve(t.Context(), strings.NewReader(text), io.Discard); err == nil {
			t.Errorf("the plan %q was carried out", text)
		}
	}
}

func TestMeasureRefuses(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"", ErrNoReport},
		{"{}\n" + `{"progress":{}}`, ErrNoReport},
		{"panic: nonsense\n", nil},
		{strings.Repeat("x", maxLine+1), nil},
	} {
		if _, err := NewRemote(io.Discard, strings.NewReader(c.answer)).Measure(Plan{}, nil); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v", c.answer, err)
		}
	}
}

func TestExpect(t *testing.T) {
	texts := map[string][2]string{ // right and wrong
		"meminfo":    {"MemTotal:       262144 kB\n", "MemTotal:       262143 kB\n"},
		"cpuinfo":    {"processor\t: 0\n\nprocessor\t: 3\n", "processor\t: 0\n"},
		"stat":       {"cpu  1\ncpu0 1\ncpu3 0\nintr 0\n", "cpu  1\ncpu0 1\nintr 0\n"},
		"cpu/online": {"0,3\n", "0-3\n"},
		"uptime":     {"1.00 1.00\n", ""},
	}
	for file, text := range texts {
		r := Row{File: file}
		(&View{256 << 20, 2, "0,3"}).expect(&r)
		check := r.check()
		if check == nil {
			if file != "uptime" {
				t.Errorf("%s: nothing is expected", file)
			}
			continue
		}
		if err := check([]byte(text[0])); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if check([]byte(text[1])) == nil {
			t.Errorf("%s: %q passes", file, text[1])
		}
	}
}

func TestRows(t *testing.T) {
	rows := Rows([]string{"proc/meminfo", "proc/stat"}, filepath.Base, []Tree{
		{Name: "kernel", Dir: "/k"},
		{Name: "null", Dir: "/n", Texts: map[string]string{"proc/meminfo": "x", "proc/stat": ""}},
		{Name: "ours", Dir: "/", View: &View{1 << 30, 3, "0-2"}},
		{Name: "other", Dir: "/o", Source: "/src"},
	}, func(path string) bool { return path == "/src/proc/stat" })
	want := []Row{
		{File: "meminfo", Tree: "kernel", Path: "/k/proc/meminfo"},
		{File: "meminfo", Tree: "null", Path: "/n/proc/meminfo", Text: "x"},
		{File: "meminfo", Tree: "ours", Path: "/proc/meminfo", Key: "MemTotal:", Value: "1048576 kB"},
		{File: "stat", Tree: "kernel", Path: "/k/proc/stat", Empty: true},
		{File: "stat", Tree: "null", Path: "/n/proc/stat", Empty: true},
		{File: "stat", Tree: "ours", Path: "/proc/stat", Prefix: "cpu", Lines: 4, Empty: true},
		{File: "stat", Tree: "other", Path: "/o/proc/stat", Empty: true},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got  %+v\nwant %+v", rows, want)
	}
}
