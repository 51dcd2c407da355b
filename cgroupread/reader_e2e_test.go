// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package cgroupread_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// makeAll is makeCgroup in every hierarchy that a Reader reads, those included
// that it opens late.
func makeAll(t *testing.T, l *cgroupread.Layout, path string) {
	t.Helper()
	makeCgroup(t, l, path)
	seen := map[string]bool{}
	for _, dir := range dirs(t, l, path) {
		seen[dir] = true
	}
	for _, controller := range []string{"cpuacct", "blkio"} {
		h, err := l.Hierarchy(controller)
		if err != nil || seen[h.Mountpoint+path] {
			continue
		}
		dir := h.Mountpoint + path
		seen[dir] = true
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for d, up := dir, strings.Count(path, "/"); up > 0; d, up = filepath.Dir(d), up-1 {
				if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
					t.Errorf("rmdir %s: %v", d, err)
				}
			}
		})
	}
	// An empty v1 cpuset takes nobody.
	if h, err := l.Hierarchy("cpuset"); err == nil && !h.Unified {
		for at := h.Mountpoint; at != h.Mountpoint+path; {
			rest := strings.TrimPrefix(h.Mountpoint+path, at+"/")
			next, _, _ := strings.Cut(rest, "/")
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				text, err := os.ReadFile(filepath.Join(at, file))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(at, next, file), string(text))
			}
			at = filepath.Join(at, next)
		}
	}
}

// runIn runs a shell script as a process of the cgroup in every hierarchy. out is
// what it writes, for the test to wait for; stop kills and reaps it.
func runIn(t *testing.T, l *cgroupread.Layout, path, script string) (out *bufio.Scanner, stop func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `for d in $0; do echo $$ >"$d/cgroup.procs" || exit 1; done; `+script,
		strings.Join(hierarchyDirs(l, path), " "))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return bufio.NewScanner(pipe), stop
}

// hierarchyDirs are the directories of a path in all hierarchies that have it.
func hierarchyDirs(l *cgroupread.Layout, path string) []string {
	var all []string
	for _, h := range l.Hierarchies() {
		if _, err := os.Stat(h.Mountpoint + path); err == nil {
			all = append(all, h.Mountpoint+path)
		}
	}
	return all
}

// setQuota gives a cgroup a quota of so many µs in 100 ms.
func setQuota(t *testing.T, l *cgroupread.Layout, path, quota string) {
	t.Helper()
	h, err := l.Hierarchy("cpu")
	if err != nil {
		t.Fatal(err)
	}
	if h.Unified {
		write(t, h.Mountpoint+path+"/cpu.max", quota+" 100000")
		return
	}
	write(t, h.Mountpoint+path+"/cpu.cfs_quota_us", quota)
}

// /NAME           a quota of 20 ms in 100
//
//	└─ inner   a busy process
func TestRealCPUTime(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeAll(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	setQuota(t, l, base, "20000")
	cg := open(t, l, base+"/inner")
	out, stop := runIn(t, l, base+"/inner", "echo in; while :; do :; done")
	if !out.Scan() {
		t.Fatal("the process did not start")
	}
	var first, last limits.CPUTime
	var record cgroupread.Record
	if err := cg.Reader(&record).CPUTime(&first); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	time.Sleep(time.Second)
	if err := cg.Reader(&record).CPUTime(&last); err != nil {
		t.Fatal(err)
	}
	wall := time.Since(began)
	stop()
	record.Each(func(path string, text []byte) { t.Logf("%s: %q", path, text) })
	// At most a fifth, of a machine that may be busy with others, and one period
	// more at each end.
	if ran := last.Total - first.Total; ran <= 0 || ran > wall/5+40*time.Millisecond {
		t.Errorf("ran %v in %v: %+v, %+v", ran, wall, first, last)
	}
	sum := time.Duration(0)
	for _, ran := range last.PerCPU {
		sum += ran
	}
	if v1 := l.Mode() != cgroupread.V2; v1 != (len(last.PerCPU) > 0) || v1 && sum != last.Total {
		t.Errorf("by CPU %v, total %v", last.PerCPU, last.Total)
	}
	if len(last.Chain.Levels) != 2 || last.Chain.Levels[0].Throttled != 0 || last.Chain.Levels[1].Throttled <= first.Chain.Levels[1].Throttled {
		t.Errorf("refused %+v, then %+v", first.Chain.Levels, last.Chain.Levels)
	}
	if !last.Chain.HaveEffective || last.Chain.Effective.IsEmpty() {
		t.Errorf("effective CPUs %v", last.Chain.Effective)
	}
}

// A process that uses memory: counters, nodes, pressure and the rest agree with
// what the kernel says elsewhere.
func TestRealReader(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeAll(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	out, stop := runIn(t, l, base+"/inner", `x=$(head -c 8388608 /dev/zero | tr '\0' x); echo in; kill -STOP $$`)
	if !out.Scan() {
		t.Fatal("the process did not start")
	}
	defer stop()
	cg := open(t, l, base)
	var record cgroupread.Record
	reader := cg.Reader(&record)
	counters, err := reader.MemoryCounters(nil)
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) uint64 {
		for _, c := range counters {
			if c.Name == name {
				return c.Value
			}
		}
		t.Errorf("no counter %s among %v", name, counters)
		return 0
	}
	// 8 MiB were touched page by page; counters lag.
	if n := value("pgfault"); n < 1000 {
		t.Errorf("pgfault %d", n)
	}
	if value("oom_kill") != 0 {
		t.Errorf("counters %v", counters)
	}
	// Both files are put together from counters of each CPU, which the kernel
	// gathers every two seconds: they are the same only after a while.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		nodes, err := reader.NodeMemory(nil)
		if err != nil || len(nodes) == 0 {
			t.Fatalf("%+v, %v", nodes, err)
		}
		memory, err := reader.Memory()
		if err != nil {
			t.Fatal(err)
		}
		anon := uint64(0)
		for _, n := range nodes {
			anon += n.Stat.Anon
		}
		have := memory[0].Stat.Anon
		if have > 8<<20 && max(anon, have)-min(anon, have) < 1<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("anon %d, by node %d", have, anon)
			break
		}
	}
	mems, ok, err := reader.Mems()
	online, readErr := os.ReadFile("/sys/devices/system/node/has_memory")
	if err != nil || readErr != nil || !ok || mems.String() != strings.TrimSpace(string(online)) {
		t.Errorf("nodes %v, %v, %v, of %q, %v", mems, ok, err, online, readErr)
	}
	for _, kind := range []string{"cpu", "memory", "io"} {
		text, ok, err := reader.Pressure(nil, kind)
		if _, hostErr := os.Stat("/proc/pressure/" + kind); err != nil || ok != (hostErr == nil) || ok && !strings.HasPrefix(string(text), "some avg10=") {
			t.Errorf("pressure of %s: %q, %v, %v", kind, text, ok, err)
		}
	}
	if _, _, err := reader.Slabinfo(nil); err != nil {
		t.Error(err)
	}
	devices, counted, err := reader.IO(nil)
	dir := hierarchyDirs(l, base)[0]
	if _, statErr := os.Stat(dir + "/io.stat"); err != nil || l.Mode() == cgroupread.V2 && counted != (statErr == nil) {
		t.Errorf("%+v, %v, %v", devices, counted, err)
	}
	t.Logf("I/O %+v, counted %v", devices, counted)
	record.Each(func(path string, _ []byte) {
		if !strings.HasPrefix(path, "/sys/fs/cgroup/") || !strings.Contains(path, base) {
			t.Errorf("recorded %s", path)
		}
	})
}

// /NAME            a process with several threads
//
//	└─ a        one
//	   └─ b     another
func TestRealTasks(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeAll(t, l, base+"/a/b")
	cg := open(t, l, base)
	want := []int{}
	for _, path := range []string{base, base + "/a", base + "/a/b"} {
		out, _ := runIn(t, l, path, "echo $$; exec sleep 600")
		if !out.Scan() {
			t.Fatal("the process did not start")
		}
		pid, err := strconv.Atoi(out.Text())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, pid)
	}
	slices.Sort(want)
	tids, complete, err := cg.Reader(nil).Tasks(nil, 100)
	slices.Sort(tids)
	if err != nil || !complete || !slices.Equal(tids, want) {
		t.Errorf("%v, %v, %v, want %v", tids, complete, err, want)
	}
	if tids, complete, err = cg.Reader(nil).Tasks(nil, 2); err != nil || complete || len(tids) != 2 {
		t.Errorf("at most 2: %v, %v, %v", tids, complete, err)
	}
	inner := open(t, l, base+"/a/b")
	if tids, _, err = inner.Reader(nil).Tasks(nil, 100); err != nil || len(tids) != 1 {
		t.Errorf("the innermost: %v, %v", tids, err)
	}
}

// Threads are listed, not only processes: this program has several.
func TestRealThreads(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	if dir := os.Getenv(stageVariable); dir != "" {
		for _, d := range strings.Fields(dir) {
			write(t, d+"/cgroup.procs", "0")
		}
		l := detectReal(t)
		p, err := l.OfProcess("/proc", os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		cg, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		// The runtime may start a thread at any time.
		for range 20 {
			entries, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Fatal(err)
			}
			var want []int
			for _, entry := range entries {
				tid, err := strconv.Atoi(entry.Name())
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, tid)
			}
			tids, complete, err := cg.Reader(nil).Tasks(nil, 1000)
			if err != nil || !complete {
				t.Fatalf("%v, %v, %v", tids, complete, err)
			}
			slices.Sort(want)
			slices.Sort(tids)
			if slices.Equal(tids, want) && len(tids) > 1 {
				_ = cg.Close()
				return
			}
		}
		t.Error("the cgroup's threads are not the process's")
		return
	}
	l := detectReal(t)
	base := name(t)
	makeAll(t, l, base)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestRealThreads$", "-test.v")
	cmd.Env = append(os.Environ(), stageVariable+"="+strings.Join(hierarchyDirs(l, base), " "))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestRealThreads") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every method while the cgroup goes: whole or ErrGone, also where the file goes
// between open and read.
func TestRealGoneReader(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeAll(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	inner := hierarchyDirs(l, base+"/inner")
	for range 10 {
		for _, dir := range inner {
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
		cg := openUnclosed(t, l, base+"/inner")
		var readers sync.WaitGroup
		for _, m := range methods() {
			readers.Go(func() {
				var record cgroupread.Record
				for gone := time.Now().Add(20 * time.Second); ; {
					record.Reset()
					_, err := m.read(cg.Reader(&record))
					if errors.Is(err, cgroupread.ErrGone) {
						return
					}
					if err != nil || time.Now().After(gone) {
						t.Errorf("%s: %v, want ErrGone once it is gone", m.name, err)
						return
					}
					files := 0
					record.Each(func(string, []byte) { files++ })
					if files == 0 && m.name != "Tasks" { // no hierarchy has it
						return
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		for _, dir := range inner {
			if err := unix.Rmdir(dir); err != nil {
				t.Fatal(err)
			}
		}
		readers.Wait()
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
	}
}
