// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// essence is what of a text only limits change: meminfo's first line, the other
// files whole but for the clock rate.
func essence(text string) string {
	if total, _, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(total, "MemTotal:") {
		return total
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "cpu MHz") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestFreshness changes limits of a container and of its ancestor while a
// reader keeps reading:
//
//	above        memory, quota
//	└─ below     memory, quota, cpuset: the container
func TestFreshness(t *testing.T) {
	s := served.Start(t)
	above := served.NewCgroup(t, "above")
	below := above.Child("below")
	bound := s.Add("below", below)
	static := s.StaticDir("below")
	inside := served.StartReader(t, below)

	change := func(file string, do func()) {
		t.Helper()
		trees := map[string]func() (string, error){
			"bound":  func() (string, error) { return byReadFile(filepath.Join(bound, file)) },
			"shared": func() (string, error) { return inside.Read(filepath.Join(s.Shared, file)) },
		}
		if slices.Contains(staticFiles(), file) {
			trees["static"] = func() (string, error) { return byReadFile(filepath.Join(static, file)) }
		}
		before := map[string]string{}
		for tree, read := range trees {
			text, err := read()
			if err != nil {
				t.Fatal(err)
			}
			before[tree] = essence(text)
		}
		do()
		for tree, read := range trees {
			took, err := await("the change", func() (bool, error) {
				now, err := read()
				return essence(now) != before[tree], err
			})
			if err != nil {
				t.Errorf("%s tree: %s: %v", tree, file, err)
			}
			if took > soon && tree != "static" || took > soonStatic {
				t.Logf("%s tree: %s: a read that began %v after the change didn't see it", tree, file, took)
			}
		}
	}
	change("proc/meminfo", func() { below.SetMemory(100 * mib) })
	change("proc/meminfo", func() { above.SetMemory(90 * mib) })
	change("proc/meminfo", func() { below.SetMemory(80 * mib) })
	testenv.RequireCPUs(t, 2)
	for _, file := range []string{"sys/devices/system/cpu/online", "proc/cpuinfo"} {
		change(file, func() { below.SetCPUs(1) })
		change(file, func() { below.SetCPUs(2) })
		change(file, func() { below.SetCPUs(1); above.SetCPUs(1); below.SetCPUs(1) })
		change(file, func() { above.SetCPUs(2); below.SetCPUs(2) })
		change(file, func() { below.SetCPUSet("1") })
		change(file, func() { below.SetCPUSet("0-1") })
	}
}

// TestOnline compares the two files that say which CPUs there are.
func TestOnline(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	s := served.Start(t)
	cg := served.NewCgroup(t, "cpus")
	dir := s.Add("cpus", cg)
	for _, test := range []struct {
		cpuset string
		quota  float64
		want   string
	}{
		{"0-1", 2, "0-1"}, {"0-1", 1.5, "0-1"}, {"0-1", 1, "0"}, {"0-1", 0.1, "0"}, {"1", 2, "1"}, {"1", 0.5, "1"}, {"0", 2, "0"},
	} {
		cg.SetCPUSet(test.cpuset)
		cg.SetCPUs(test.quota)
		online, err := byReadFile(filepath.Join(dir, "sys/devices/system/cpu/online"))
		if err != nil {
			t.Fatal(err)
		}
		if online != test.want+"\n" {
			t.Errorf("cpuset %s, %g CPUs: online is %q, want %q", test.cpuset, test.quota, online, test.want)
		}
		cpuinfo, err := byReadFile(filepath.Join(dir, "proc/cpuinfo"))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for line := range strings.Lines(cpuinfo) {
			if rest, ok := strings.CutPrefix(line, "processor\t:"); ok {
				ids = append(ids, strings.TrimSpace(rest))
			}
		}
		if got := strings.Join(ids, "-"); len(ids) > 0 && got != test.want {
			t.Errorf("cpuset %s, %g CPUs: cpuinfo has %s, want %s", test.cpuset, test.quota, got, test.want)
		}
	}
}

// TestRoot: a reader in the root cgroup sees the host's own file.
func TestRoot(t *testing.T) {
	s := served.Start(t)
	for _, file := range files() {
		ours, err := served.ReadFrom(served.RootCgroup(t), filepath.Join(s.Shared, file))
		if err != nil {
			t.Fatal(err)
		}
		hosts, err := os.ReadFile("/" + file)
		if err != nil {
			t.Fatal(err)
		}
		// The others change between any two reads.
		still := strings.HasPrefix(file, "sys/") || file == "proc/cpuinfo" || file == "proc/meminfo"
		if err := sameShape(ours, string(hosts)); err != nil || still && essence(ours) != essence(string(hosts)) {
			t.Errorf("%s: %v\n%s", file, err, ours)
		}
	}
}
