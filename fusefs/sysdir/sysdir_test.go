// SPDX-License-Identifier: Apache-2.0

package sysdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes a directory with these files ("a/b"), links ("a -> b") and directories
// ("a/").
func tree(t *testing.T, names ...string) string {
	t.Helper()
	top := t.TempDir()
	for _, name := range names {
		name, target, link := strings.Cut(name, " -> ")
		at := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, at)
		case strings.HasSuffix(name, "/"):
			err = os.Mkdir(at, 0o755)
		default:
			err = os.WriteFile(at, []byte("text of "+name+"\n"), 0o444)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// walk returns all paths below an entry, and checks that each of them is found by
// name and by number.
func walk(t *testing.T, d *Dir, parent *Entry, seen map[uint32]string) (paths []string) {
	t.Helper()
	list, err := d.List(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if other, ok := seen[e.Number]; ok {
			t.Errorf("%s and %s have the same number %#x", e.Path, other, e.Number)
		}
		seen[e.Number] = e.Path
		found, err := d.Find(parent, e.Name)
		if err != nil || found != e {
			t.Errorf("Find %s: %+v, %v; listed as %+v", e.Path, found, err, e)
		}
		above, below := d.Above(&e)
		if below != (parent != nil) || below && above != parent.Number {
			t.Errorf("%s is in %#x, %t", e.Path, above, below)
		}
		// As another process would: it has opened the directory, no more.
		other := New(d.path, d.scheme, d.rules)
		at, err := other.At(e.Number)
		if err != nil || at != e {
			t.Errorf("At %#x: %+v, %v; want %+v", e.Number, at, err, e)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		switch e.Kind {
		case Directory:
			paths = append(paths, e.Path+"/")
			paths = append(paths, walk(t, d, &e, seen)...)
		case Link:
			paths = append(paths, e.Path+" -> "+e.Target)
		case File:
			text, err := d.Append([]byte("before "), &e)
			want, failed := os.ReadFile(filepath.Join(d.path, e.Path))
			same := string(text) == "before "+string(want) || strings.HasPrefix(d.path, "/sys") // where counters run
			if err != nil || failed != nil || !same {
				t.Errorf("Append %s: %q, %v; want %q", e.Path, text, err, want)
			}
			paths = append(paths, e.Path)
		}
	}
	return paths
}

func TestAllowed(t *testing.T) {
	top := tree(t,
		"possible", "present", "uevent", "smt/active", "smt/other", "vulnerabilities/b", "vulnerabilities/a", "vulnerabilities/x/y",
		"cpu0/topology/core_id", "cpu0/topology/ppin", "cpu0/crash_notes", "cpu0/node3 -> ../../node/node3", "cpu0/cpufreq -> ../cpufreq/policy0",
		"cpu0/cache/index0/size", "cpu0/cache/index12/size", "cpu0/cache/indexes/size", "cpu0/cache/index1024/size",
		"cpu8191/topology/core_id", "cpu8192/topology/core_id", "cpu01/online", "cpu-1/online", "cpu+1/online", "cpux/online", "cpu/online",
		"cpu2/cpufreq/policy0", "cpu3 -> cpu0", "cpu4", "cpufreq/policy7/scaling_governor", "kernel_max/")
	d := CPUs(top)
	defer func() { _ = d.Close() }()
	got := walk(t, d, nil, map[uint32]string{})
	want := []string{
		"cpu0/",
		"cpu0/cache/", "cpu0/cache/index0/", "cpu0/cache/index0/size", "cpu0/cache/index12/", "cpu0/cache/index12/size",
		"cpu0/cpufreq -> ../cpufreq/policy0", "cpu0/node3 -> ../../node/node3",
		"cpu0/topology/", "cpu0/topology/core_id",
		"cpu2/",
		"cpu8191/", "cpu8191/topology/", "cpu8191/topology/core_id",
		"cpufreq/", "cpufreq/policy7/", "cpufreq/policy7/scaling_governor",
		"possible", "present", "smt/", "smt/active", "vulnerabilities/", "vulnerabilities/a", "vulnerabilities/b",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("shown are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever is asked for, nothing is shown that isn't listed.
func TestNotFound(t *testing.T) {
	top := tree(t, "possible", "secret", "cpu0/online", "cpu0/secret", "cpu1 -> cpu0", "smt -> cpu0", "vulnerabilities/a")
	d := CPUs(top)
	defer func() { _ = d.Close() }()
	cpu0, err := d.Find(nil, "cpu0")
	if err != nil {
		t.Fatal(err)
	}
	vulnerabilities, err := d.Find(nil, "vulnerabilities")
	if err != nil {
		t.Fatal(err)
	}
	for _, parent := range []*Entry{nil, &cpu0, &vulnerabilities} {
		for _, name := range []string{
			"", ".", "..", "secret", "cpu1", "smt", "cpu0/online", "../cpu0", "cpu00", "cpu0 ", "possible/", "/possible", "*", "cpu#",
			"vulnerabilities/a", "cpu99999999999999999999", "\x00", "possible\x00",
		} {
			if e, err := d.Find(parent, name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Find(%v, %q): %+v, %v", parent, name, e, err)
			}
		}
	}
	for _, number := range []uint32{0, 1, 17, numberTop, numberTop | 1<<treeShift | 1, numberTop | 127, numberTop | 1<<17 | 1, numberTop | 5<<17 | 21, 1<<32 - 1} {
		if e, err := d.At(number); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("At(%#x): %+v, %v", number, e, err)
		}
	}
	if err := CPUs(filepath.Join(top, "nowhere")).Open(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a directory that isn't there: %v", err)
	}
}

// The numbers of every rule are its own, and composed ones come apart again.
func TestNumbers(t *testing.T) {
	for name, d := range map[string]*Dir{"cpu": CPUs(""), "node": Nodes("")} {
		seen := map[uint32]string{}
		for _, r := range d.rules {
			if other, ok := seen[r.Number]; ok || r.Number == 0 || r.Number >= 1<<d.scheme.RuleBits {
				t.Errorf("%s: %s has number %d; so has %q", name, r.Pattern, r.Number, other)
			}
			seen[r.Number] = r.Pattern
			if above := r.above(); above != "." && !slices.ContainsFunc(d.rules, func(o Rule) bool { return o.Pattern == above && o.Kind == Directory }) {
				t.Errorf("%s: %s has no directory", name, r.Pattern)
			}
			for first := range 1024 {
				for second := range 64 {
					number, ok := d.scheme.compose(r.Number, first, second)
					rule, f, s := d.scheme.split(number)
					if !ok || !d.scheme.Is(number) || rule != r.Number || f != first || s != second {
						t.Fatalf("%s: rule %d of %d, %d is %#x and comes apart as %d, %d, %d", name, r.Number, first, second, number, rule, f, s)
					}
				}
			}
		}
		for _, too := range [][2]int{{1 << 16, 0}, {0, 1 << 16}} {
			if number, ok := d.scheme.compose(1, too[0], too[1]); ok {
				t.Errorf("%s: %v is %#x", name, too, number)
			}
		}
	}
	if CPUs("").scheme.Is(numberTop|1<<treeShift) || Nodes("").scheme.Is(numberTop) {
		t.Error("the numbers of two directories mix")
	}
}

// The kernel's numbers must stay what they are.
func TestNumbersStay(t *testing.T) {
	for _, test := range []struct {
		d             *Dir
		pattern       string
		first, second int
		want          uint32
	}{
		{CPUs(""), "possible", none, none, 0x80000001},
		{CPUs(""), "cpu#", 3, none, 0x80060014},
		{CPUs(""), "cpu#/cache/index#/size", 1, 2, 0x8002014c},
		{CPUs(""), "vulnerabilities/*", 2, none, 0x8004000c},
		{Nodes(""), "node#/meminfo", 1, none, 0xc0100002},
		{Nodes(""), "node#/cpu#", 1, 5, 0xc0100057},
	} {
		i := slices.IndexFunc(test.d.rules, func(r Rule) bool { return r.Pattern == test.pattern })
		if got, _ := test.d.scheme.compose(test.d.rules[i].Number, test.first, test.second); got != test.want {
			t.Errorf("%s of %d, %d has number %#x, had %#x", test.pattern, test.first, test.second, got, test.want)
		}
	}
}

// This machine's own: what lscpu(1) reads is there.
func TestThisMachine(t *testing.T) {
	for _, d := range []*Dir{CPUs("/sys/devices/system/cpu"), Nodes("/sys/devices/system/node")} {
		if err := d.Open(); errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without NUMA
		}
		paths := walk(t, d, nil, map[uint32]string{})
		for _, p := range paths {
			for _, no := range []string{"uevent", "thermal_throttle", "crash_notes", "power/"} {
				if strings.Contains(p, no) {
					t.Errorf("%s is shown", p)
				}
			}
		}
		if d.scheme.Tree == 0 && !slices.Contains(paths, "possible") {
			t.Errorf("shown is %v", paths)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, name := range []string{"possible", "cpu0", "cpu00", "..", "cpu#", "vulnerabilities"} {
		f.Add(name)
	}
	top := f.TempDir()
	for _, name := range []string{"possible", "secret"} {
		if err := os.WriteFile(filepath.Join(top, name), nil, 0o444); err != nil {
			f.Fatal(err)
		}
	}
	d := CPUs(top)
	f.Fuzz(func(t *testing.T, name string) {
		e, err := d.Find(nil, name)
		if err == nil && (name != "possible" || e.Path != name) {
			t.Errorf("%q finds %+v", name, e)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	d := CPUs("/sys/devices/system/cpu")
	e, err := d.Find(nil, "possible")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.At(e.Number); err != nil {
			b.Fatal(fmt.Errorf("at: %w", err))
		}
	}
}
