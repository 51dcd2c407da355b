// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// made is a sample of a container that started at 100 s, at so many seconds: one
// of two CPUs, 256 MiB, a disk. Both say the same.
func made(now float64) Sample {
	m := Moment{At: time.Duration(now * float64(time.Second)), Files: map[string]string{
		"host/cpuinfo": "processor\t: 0\nphysical id\t: 0\ncore id\t: 0\nsiblings\t: 2\n\nprocessor\t: 1\nphysical id\t: 0\ncore id\t: 1\nsiblings\t: 2\n",
		"host/meminfo": "MemTotal: 24000000 kB\nMemFree: 1000000 kB\nMemAvailable: 20000000 kB\nCached: 9 kB\nSlab: 80000 kB\nDirectMap4k: 8 kB\n",
		"host/stat":    "cpu  1 0 0 0 0 0 0 0 0 0\nbtime 7\n", "host/diskstats": " 254 0 vda 9 0 9 0 9 0 9 0 0 0 0 9 0 9 0 0 0\n",
		"memory/memory.limit_in_bytes": "268435456\n", "memory/memory.usage_in_bytes": "68157440\n", "memory/memory.kmem.usage_in_bytes": "1048576\n",
		"memory/memory.stat": "total_cache 62914560\ntotal_shmem 20971520\ntotal_rss 4194304\ntotal_active_file 10485760\ntotal_inactive_file 31457280\n",
		"cpu/cpu.stat":       "nr_throttled 0\nthrottled_time 0\n", "cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n",
		"cpuacct/cpuacct.usage": plain((now-100)*0.5e9) + "\n", "cpuset/cpuset.effective_cpus": "0-1\n",
		"blkio/blkio.throttle.io_service_bytes_recursive": "254:0 Write 4096\n254:0 Total 4096\nTotal 4096\n",
		"blkio/blkio.throttle.io_serviced_recursive":      "254:0 Write 1\n254:0 Total 1\nTotal 1\n",
		"proc/1/stat": "1 (a (b) c) S " + strings.Repeat("0 ", 18) + "10000 0\n", "proc/sys/kernel/ns_last_pid": "7\n",
		"unified/io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n",
	}, Tasks: []Task{{State: "R"}, {State: "S"}, {State: "R", Reader: true}}}
	ticks := plain((now - 100) * 50)
	view := func() map[string]Reading {
		readings := map[string]Reading{}
		for file, text := range map[string]string{
			"proc/cpuinfo":                  "processor\t: 0\nphysical id\t: 0\ncore id\t: 0\nsiblings\t: 1\n",
			"sys/devices/system/cpu/online": "0\n", "sys/devices/system/cpu/offline": "1\n",
			"proc/stat":      "cpu  " + ticks + " 0 0 " + ticks + " 0 0 0 0 0 0\nctxt 0\nbtime 7\nprocs_running 1\nprocs_blocked 0\n",
			"proc/uptime":    plain(now-100) + " " + plain((now-100)/2) + "\n",
			"proc/loadavg":   "0.15 0.03 0.01 1/2 7\n",
			"proc/meminfo":   "MemTotal: 262144 kB\nMemFree: 195584 kB\nMemAvailable: 236544 kB\nCached: 61440 kB\nSlab: 0 kB\nDirectMap4k: 0 kB\n",
			"proc/swaps":     "Filename Size\n",
			"proc/diskstats": " 254 0 vda 0 0 0 0 1 0 8 0 0 0 0 0 0 0 0 0 0\n", "proc/slabinfo": "version\n# name\n",
			"proc/vmstat": "nr_free_pages 48896\n", "proc/pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n",
		} {
			readings[file] = Reading{At: m.At, Text: text, Mode: 0o444}
		}
		return readings
	}
	return Sample{Before: m, After: m, Ours: view(), Theirs: view(), Host: view()}
}

// tables are all of them; the loop began 10 s before the end.
func tables(edit func(s *Sample)) []Table {
	from, to := made(120), made(130)
	edit(&from)
	edit(&to)
	return []Table{
		Cpuinfo(to), CPULists(to, "online"), CPULists(to, "offline"), Stat(from, to, []Phase{{"a loop", from, to}}), Uptime(to), Loadavg(to, 120*time.Second),
		Meminfo(to), Swaps(to), Diskstats(to), Slabinfo(to), Pressure(to, "io"),
	}
}

// TestAgree: where both are right, no row says otherwise.
func TestAgree(t *testing.T) {
	for _, table := range tables(func(*Sample) {}) {
		for _, r := range table.Rows {
			if r.Verdict != Agree && r.Verdict != Unknown && table.File != "proc/pressure/io" {
				t.Errorf("%s: %+v", table.File, r)
			}
		}
		if wrong := table.Wrong(); wrong != nil {
			t.Errorf("%s: wrong: %+v", table.File, wrong)
		}
	}
}

// TestWrong changes one thing at a time, in our files and in theirs, and wants that
// one to be blamed.
func TestWrong(t *testing.T) {
	for _, tt := range []struct{ file, old, changed, field string }{
		{"proc/cpuinfo", "siblings\t: 1", "siblings\t: 2", "cpu0 siblings"},
		{"proc/cpuinfo", "processor\t: 0", "processor\t: 1", "processor"},
		{"sys/devices/system/cpu/online", "0\n", "0-1\n", "(CPUs)"},
		{"sys/devices/system/cpu/offline", "1\n", "\n", "(CPUs)"},
		{"proc/stat", "cpu  1500", "cpu  1900", "a loop: user + system, %"},
		{"proc/stat", "0 0 1500", "0 0 1900", "a loop: idle, %"},
		{"proc/stat", "0 0 1500", "0 0 1900", "a loop: Σ columns, %"},
		{"proc/stat", "cpu  1000 0 0 1000", "cpu  0 0 0 0", "cpu: Σ columns at the first read, s"},
		{"proc/stat", "procs_running 1", "procs_running 9", "procs_running"},
		{"proc/stat", "btime 7", "btime 70", "btime"},
		{"proc/uptime", "30 15", "31 15", "up, s"},
		{"proc/uptime", "30 15", "30 28", "idle, s"},
		{"proc/loadavg", "0.15", "2.50", "load, 1 min"},
		{"proc/loadavg", "1/2", "1/200", "tasks"},
		{"proc/meminfo", "MemTotal: 262144", "MemTotal: 24000000", "MemTotal"},
		{"proc/meminfo", "MemAvailable: 236544", "MemAvailable: 257024", "MemAvailable"},
		{"proc/meminfo", "Cached: 61440", "Cached: 9", "Cached"},
		{"proc/meminfo", "Slab: 0", "Slab: 80000", "Slab"},
		{"proc/meminfo", "Slab:", "Slap:", "(labels)"},
		{"proc/swaps", "Filename Size", "Filename  Size", "(headings)"},
		{"proc/swaps", "Size\n", "Size\nvirtual 8\n", "(areas)"},
		{"proc/swaps", "Size\n", "Size", "(last byte)"},
		{"proc/diskstats", "1 0 8", "9 0 9", "vda sectors written"},
		{"proc/diskstats", "vda", "vdb", "(devices)"},
		{"proc/slabinfo", "# name\n", "# name\nkmalloc 1\n", "(caches)"},
		{"proc/slabinfo", "version", "vers\x00on", "(NUL bytes)"},
	} {
		for blamed, readings := range map[Verdict]func(*Sample) map[string]Reading{
			Theirs: func(s *Sample) map[string]Reading { return s.Ours }, // ours is wrong, LXCFS right
			Ours:   func(s *Sample) map[string]Reading { return s.Theirs },
		} {
			changed := false
			all := tables(func(s *Sample) {
				r := readings(s)[tt.file]
				changed = changed || strings.Contains(r.Text, tt.old)
				r.Text = strings.ReplaceAll(r.Text, tt.old, tt.changed)
				readings(s)[tt.file] = r
			})
			if !changed {
				t.Fatalf("%s has no %q", tt.file, tt.old)
			}
			i := slices.IndexFunc(all, func(table Table) bool { return table.File == tt.file })
			j := slices.IndexFunc(all[i].Rows, func(r Row) bool { return r.Field == tt.field })
			if j < 0 {
				t.Errorf("%s has no row %s", tt.file, tt.field)
				continue
			}
			if got := all[i].Rows[j].Verdict; got != blamed {
				t.Errorf("%s: %s with %q: right is %s, want %s", tt.file, tt.field, tt.changed, got, blamed)
			}
			if wrong := all[i].Wrong(); (len(wrong) > 0) != (blamed == Theirs) {
				t.Errorf("%s: %s with %q, right is %s: wrong are %+v", tt.file, tt.field, tt.changed, blamed, wrong)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	moving := Truth{Low: 10, High: 12, Tolerance: 1}
	bound := Truth{High: 12, Bound: true}
	for _, tt := range []struct {
		ours, theirs float64
		truth        Truth
		want         Verdict
	}{
		{10, 10, moving, Agree},
		{9, 13, moving, Both},
		{9, 14, moving, Ours},
		{8, 13, moving, Theirs},
		{8, 14, moving, Neither},
		{8, 8, moving, Neither},
		{8, math.NaN(), moving, Neither},
		{9, math.NaN(), moving, Ours},
		{0, 12, bound, Unknown},
		{0, 13, bound, Ours},
		{1, 2, nobody(), Unknown},
		{1, 1, nobody(), Agree},
	} {
		if got := judge("x", tt.ours, tt.theirs, tt.truth, "").Verdict; got != tt.want {
			t.Errorf("%v and %v of %v: %s, want %s", tt.ours, tt.theirs, tt.truth, got, tt.want)
		}
	}
	if wrong := (Table{Rows: []Row{{Verdict: Neither, Stated: true}, {Verdict: Neither}, {Verdict: Theirs}, {Verdict: Ours}}}).Wrong(); len(wrong) != 2 {
		t.Errorf("wrong are %+v", wrong)
	}
}

// TestThrottled: what a quota refuses is steal, not idle.
func TestThrottled(t *testing.T) {
	from, to := made(120), made(130)
	for _, m := range []*Moment{&to.Before, &to.After} {
		m.Files["cpu/cpu.stat"] = "throttled_time 4000000000\n"
	}
	want := map[string]string{"user + system": "50", "steal": "40", "idle": "10", "Σ columns": "100"}
	for _, r := range (Phase{"p", from, to}).rates("proc/stat") {
		what := strings.TrimSuffix(strings.TrimPrefix(r.Field, "p: "), ", %")
		if r.Truth != want[what] {
			t.Errorf("%s: truth %s, want %s", r.Field, r.Truth, want[what])
		}
	}
}

// TestDocumentIsComplete: the page in docs has a section for each file, and says
// where ours isn't right.
func TestDocumentIsComplete(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(t), "docs/COMPARISON.md"))
	if err != nil {
		t.Fatal(err)
	}
	made := Document(Circumstances{}, tables(func(*Sample) {}))
	for _, want := range append(served(), "## Not measured") {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/COMPARISON.md says nothing of %s: make comparison writes it", want)
		}
	}
	for _, part := range []string{opening, onV2} {
		if !strings.Contains(string(text), part) || !strings.Contains(made, part) {
			t.Errorf("docs/COMPARISON.md isn't what the test writes: make comparison writes it; it lacks\n%s", part)
		}
	}
}

// FuzzTables: whatever LXCFS, the kernel or we write, there is a table of it.
func FuzzTables(f *testing.F) {
	for _, text := range []string{"", "\n", "cpu 1 2 3\n", "1:2:3 Write 5\n", "processor: 0\n\nprocessor: 1\n", "0-99999999999999999999\n", "a NaN\nInf -5 x 1 2 3 4\n", "254 0 vda 1\n"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, view, truth string) {
		all := tables(func(s *Sample) {
			for _, readings := range []map[string]Reading{s.Ours, s.Theirs} {
				for file, r := range readings {
					r.Text = view
					readings[file] = r
				}
			}
			for name := range s.Before.Files { // After's, too
				s.Before.Files[name] = truth
			}
		})
		if text := Document(Circumstances{}, all); strings.Count(text, "\n## /") < len(all) {
			t.Errorf("not every file has a section: %q", text)
		}
	})
}
