// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// trees makes the same files in two directories, and a plan's rows of them.
func trees(t *testing.T, names ...string) []Row {
	t.Helper()
	dir := t.TempDir()
	var rows []Row
	for _, tree := range []string{KernelTree, "other"} {
		for i, name := range names {
			path := filepath.Join(dir, tree, name)
			text := strings.Repeat(fmt.Sprintf("%s line %d\n", name, i), 50*(i+1))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, Row{File: name, Tree: tree, Path: path, Check: Exactly(text)})
		}
	}
	return rows
}

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		readers int
	}{{"one reader", 1}, {"three readers", 3}} {
		t.Run(tt.name, func(t *testing.T) {
			rows := trees(t, "meminfo", "cpuinfo")
			const d = 120 * time.Millisecond
			var told atomic.Int32
			start := time.Now()
			results, err := Measure(t.Context(), Plan{
				Rows: rows, Modes: []Mode{Hot, Cold}, Readers: tt.readers, Duration: d,
				Progress: func(p Progress) {
					told.Add(1)
					if p.Total != d || p.Done < 0 || p.Done > d {
						t.Errorf("progress: %+v", p)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 2*d || took > 2*d+10*time.Second {
				t.Errorf("took %v, two modes of %v were asked for", took, d)
			}
			if told.Load() == 0 {
				t.Error("no progress was told")
			}
			if len(results) != 2*len(rows) {
				t.Fatalf("%d results", len(results))
			}
			for i, r := range results {
				row, mode := rows[i%len(rows)], []Mode{Hot, Cold}[i/len(rows)]
				if r.File != row.File || r.Tree != row.Tree || r.Mode != mode || r.Readers != tt.readers {
					t.Errorf("result %d is %+v", i, r)
				}
				if r.Errors != 0 || r.Reads == 0 || r.P50 <= 0 || r.P90 < r.P50 || r.P99 < r.P90 || r.ReadsPerSecond <= 0 || r.Ratio <= 0 {
					t.Errorf("result %d: %+v", i, r)
				}
				if r.Tree == KernelTree && r.Ratio != 1 {
					t.Errorf("the kernel's ratio to itself: %v", r.Ratio)
				}
				// There are 6 periods in 120 ms, fewer where the machine is late.
				if mode == Cold && r.Reads > uint64(7*tt.readers) {
					t.Errorf("cold: %d reads in %v", r.Reads, d)
				}
			}
		})
	}
}

// TestMeasureCountsErrors: a missing file, a directory and wrong content are
// told apart from reads, and the good row isn't harmed.
func TestMeasureCountsErrors(t *testing.T) {
	rows := trees(t, "good", "wrong")[:2]
	rows[1].Check = LineValue("MemTotal:", "1 kB")
	rows = append(rows,
		Row{File: "missing", Tree: "x", Path: filepath.Join(t.TempDir(), "missing")},
		Row{File: "directory", Tree: "x", Path: t.TempDir()},
		Row{File: "empty", Tree: "x", Path: os.DevNull})
	results, err := Measure(t.Context(), Plan{Rows: rows, Modes: []Mode{Hot}, Readers: 2, Duration: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Errors != 0 || results[0].Reads == 0 {
		t.Errorf("the good row: %+v", results[0])
	}
	for i, want := range []string{"", "content: 0 lines with", "open: no such file", "read: is a directory", "content: empty"} {
		r := results[i]
		if i > 0 && (r.Errors == 0 || r.Reads != 0 || r.P50 != 0 || r.Ratio != 0 || !strings.Contains(r.FirstError, want)) {
			t.Errorf("%s: %+v, want an error with %q", r.File, r, want)
		}
	}
}

func TestMeasureEndsWithContext(t *testing.T) {
	for _, mode := range []Mode{Hot, Cold} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		results, err := Measure(ctx, Plan{Rows: trees(t, "a"), Modes: []Mode{mode, Hot}, Readers: 1, Duration: time.Minute})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || len(results) != 2 || results[0].Reads == 0 {
			t.Errorf("%s: %+v, %v", mode, results, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v to end", mode, took)
		}
	}
}

// TestReadAllocatesNothing, a large file (many chunks) included.
func TestReadAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	text := strings.Repeat("MemTotal: 1 kB\nprocessor\t: 0\n", 20000)
	if err := os.WriteFile(path, []byte("Total: 7 kB\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	value, count := LineValue("Total:", "7 kB"), LineCount("processor\t", 20000)
	r, err := newReader([]Row{{Path: path, Check: func(c []byte) error { return errors.Join(value(c), count(c)) }}})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { r.read(0, true) }); n != 0 {
		t.Errorf("%v allocations per read", n)
	}
	if s := r.stats[0]; s.errors != 0 || s.times.n != 21 {
		t.Errorf("%d reads, %d errors, first %v", s.times.n, s.errors, s.first)
	}
}

func TestPlanCheck(t *testing.T) {
	row := Row{File: "a", Tree: "b", Path: "/c"}
	good := Plan{Rows: []Row{row}, Modes: []Mode{Hot}, Readers: 1, Duration: time.Second}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Plan){
		"no rows":      func(p *Plan) { p.Rows = nil },
		"same twice":   func(p *Plan) { p.Rows = []Row{row, row} },
		"relative":     func(p *Plan) { p.Rows = []Row{{Path: "c"}} },
		"NUL":          func(p *Plan) { p.Rows = []Row{{Path: "/c\x00d"}} },
		"no mode":      func(p *Plan) { p.Modes = nil },
		"unknown mode": func(p *Plan) { p.Modes = []Mode{"warm"} },
		"no reader":    func(p *Plan) { p.Readers = 0 },
		"many readers": func(p *Plan) { p.Readers = MaxReaders + 1 },
		"no time":      func(p *Plan) { p.Duration = 0 },
	} {
		p := good
		change(&p)
		if _, err := Measure(t.Context(), p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseModes(t *testing.T) {
	for in, want := range map[string]string{"hot": "[hot]", "hot,cold": "[hot cold]", "cold,hot": "[cold hot]"} {
		if got, err := ParseModes(in); err != nil || fmt.Sprint(got) != want {
			t.Errorf("ParseModes(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "warm", "hot,", "hot,hot", "hot cold"} {
		if got, err := ParseModes(in); err == nil {
			t.Errorf("ParseModes(%q) = %v", in, got)
		}
	}
}

func TestChecks(t *testing.T) {
	const text = "MemTotal:        262144 kB\nMemFree: 1 kB\nprocessor\t: 0\nprocessor\t: 1"
	for _, tt := range []struct {
		name  string
		check func([]byte) error
		good  bool
	}{
		{"value", LineValue("MemTotal:", "262144 kB"), true},
		{"other value", LineValue("MemTotal:", "262145 kB"), false},
		{"prefix of the value", LineValue("MemTotal:", "262144"), false},
		{"no such line", LineValue("MemAvailable:", "1 kB"), false},
		{"two such lines", LineValue("processor", ": 0"), false},
		{"count", LineCount("processor\t", 2), true},
		{"other count", LineCount("processor\t", 1), false},
		{"none", LineCount("cpu", 0), true},
		{"exactly", Exactly(text), true},
		{"longer", Exactly(text + "\n"), false},
		{"not empty", notEmpty, true},
	} {
		if err := tt.check([]byte(text)); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if notEmpty(nil) == nil {
		t.Error("empty content passes")
	}
}

func TestParseCounts(t *testing.T) {
	for in, want := range map[string]string{"1": "[1]", "1,2,4": "[1 2 4]", "64": "[64]"} {
		if got, err := ParseCounts(in, 64); err != nil || fmt.Sprint(got) != want {
			t.Errorf("ParseCounts(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "-1", "65", "1,", "2,1", "2,2", "1 2", "x", "1e1"} {
		if got, err := ParseCounts(in, 64); err == nil {
			t.Errorf("ParseCounts(%q) = %v", in, got)
		}
	}
}

// TestColdGroups: no row is lost, none read twice, the rows of a file stay
// together, and there is time enough for all.
func TestColdGroups(t *testing.T) {
	for _, c := range []struct {
		files, trees, groups int
	}{{1, 1, 1}, {4, 5, 1}, {5, 5, 2}, {20, 4, 4}, {3, 30, 6}} {
		var rows []Row
		for f := range c.files {
			for range c.trees {
				rows = append(rows, Row{File: fmt.Sprint(f)})
			}
		}
		groups := coldGroups(rows)
		if len(groups) != c.groups {
			t.Errorf("%d files of %d trees: %d groups, want %d", c.files, c.trees, len(groups), c.groups)
		}
		next, where := 0, map[string]int{}
		for g, group := range groups {
			if len(group) > maxColdRows {
				t.Errorf("%d rows in one group", len(group))
			}
			for _, row := range group {
				if row != next {
					t.Fatalf("row %d after row %d", row, next-1)
				}
				next++
				if before, ok := where[rows[row].File]; ok && before != g && c.trees <= maxColdRows {
					t.Errorf("file %s is in two groups", rows[row].File)
				}
				where[rows[row].File] = g
			}
		}
		if next != len(rows) {
			t.Errorf("%d rows of %d", next, len(rows))
		}
	}
}
