// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

const mib = 1 << 20

// open opens the cgroup at a path until the test ends.
func open(t *testing.T, l *cgroupread.Layout, path string) *cgroupread.Cgroup {
	t.Helper()
	cg := openUnclosed(t, l, path)
	t.Cleanup(func() {
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
	})
	return cg
}

func openUnclosed(t testing.TB, l *cgroupread.Layout, path string) *cgroupread.Cgroup {
	t.Helper()
	p, err := l.OfDir(path)
	if err != nil {
		t.Fatal(err)
	}
	cg, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	return cg
}

// removeForGood removes a directory whose inode number no other one gets while
// the test runs: the kernel gives a cgroup's to no other, disks are less careful.
func removeForGood(t *testing.T, h *fixture.Host, dir string) {
	t.Helper()
	held, err := os.Open(h.Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	h.Remove(dir)
}

var equalLimits = cmp.Options{
	cmp.Comparer(func(a, b limits.Limit) bool { return a == b }),
	cmp.Comparer(cpulist.Set.Equal),
}

// The captured tree (test/fixture/capture.sh draws all of it):
//
//	/procfs-shim-fixture     512 MiB, with swap 768 MiB; high 400 MiB (v2); 1.5 CPUs
//	├─ container             256 MiB; last CPU only; 8 MiB cache, 4 MiB shmem
//	│  └─ init.scope         no limits; without controllers on v2
//	└─ sibling               16 MiB shmem
func TestCapturedTree(t *testing.T) {
	const ms = time.Millisecond
	quota := limits.Quota{Quota: 150 * ms, Period: 100 * ms}
	for _, c := range []struct {
		host      string
		v2        bool
		online    cpulist.Set
		effective string // of container
		hugetlb   limits.Limit
		haveHuge  bool
	}{
		{"debian12-hybrid", false, cpulist.Range(0, 1), "1", limits.None(), false},
		{"debian12-v1", false, cpulist.Range(0, 1), "1", limits.To(16 * mib), true},
		{"debian12-v2", true, cpulist.Range(0, 3), "3", limits.To(16 * mib), true},
		{"debian12-v2-64cpu", true, cpulist.Range(0, 63), "63", limits.To(16 * mib), true},
		{"debian12-v2-arm64", true, cpulist.Range(0, 3), "3", limits.To(16 * mib), true},
	} {
		t.Run(c.host, func(t *testing.T) {
			l := detect(t, fixture.Load(t, c.host))
			cg := open(t, l, fixture.Container)

			memory, err := cg.Memory()
			if err != nil {
				t.Fatal(err)
			}
			if len(memory) != 2 || memory[0].Path != fixture.Container || memory[1].Path != fixture.Base {
				t.Fatalf("levels %+v, want the container and its parent", memory)
			}
			if memory[0].Max != limits.To(256*mib) || memory[1].Max != limits.To(512*mib) || memory.Max() != limits.To(256*mib) {
				t.Errorf("max %v over %v", memory[0].Max, memory[1].Max)
			}
			swap, high := limits.To(256*mib), limits.To(400*mib)
			if !c.v2 {
				// With 256 MiB of memory, 512 MiB are left of the parent's 768.
				swap, high = limits.To(512*mib), limits.None()
			}
			if memory.SwapMax() != swap || memory.High() != high {
				t.Errorf("swap max %v, high %v, want %v, %v", memory.SwapMax(), memory.High(), swap, high)
			}
			own, parent := memory[0], memory[1]
			if own.Stat.Shmem != 4*mib || own.Stat.File < 12*mib || own.Stat.File > 13*mib {
				t.Errorf("shmem %d, file %d, want 4 MiB and a little more than 12", own.Stat.Shmem, own.Stat.File)
			}
			if parent.Stat.Shmem != 20*mib {
				t.Errorf("the parent's shmem %d, want 20 MiB: the sibling's too", parent.Stat.Shmem)
			}
			if own.Usage < 12*mib || own.Usage > 24*mib || parent.Usage < own.Usage+16*mib {
				t.Errorf("usage %d, parent's %d", own.Usage, parent.Usage)
			}
			if (own.Stat.Slab > 0) != c.v2 || own.Stat.Anon == 0 || own.Stat.InactiveFile == 0 {
				t.Errorf("stat %+v", own.Stat)
			}

			cpu, err := cg.CPU()
			if err != nil {
				t.Fatal(err)
			}
			want := limits.CPUChain{
				Levels:        []limits.CPU{{Path: fixture.Container}, {Path: fixture.Base, Quota: quota}},
				HaveEffective: true,
			}
			if want.Effective, err = cpulist.Parse(c.effective); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, cpu, equalLimits); d != "" {
				t.Errorf("CPU() (-want +got)\n%s", d)
			}

			huge, err := cg.Hugetlb()
			if err != nil {
				t.Fatal(err)
			}
			if pages, ok := huge.Size(2 * mib); ok != c.haveHuge || pages.Max != c.hugetlb || len(huge) > 0 != c.haveHuge {
				t.Errorf("2 MiB pages %+v, %v, want at most %v, %v", pages, ok, c.hugetlb, c.haveHuge)
			}

			// A level without files of its own: no limit, no usage, its parent's cpuset.
			inner := open(t, l, fixture.Container+"/init.scope")
			if memory, err = inner.Memory(); err != nil || len(memory) != 3 || memory[0].Max != limits.None() ||
				memory[0].Usage != 0 || memory.Max() != limits.To(256*mib) {
				t.Errorf("init.scope: %+v, %v", memory, err)
			}
			if cpu, err = inner.CPU(); err != nil || !cpu.Effective.Equal(want.Effective) || len(cpu.Levels) != 3 {
				t.Errorf("init.scope: %+v, %v", cpu, err)
			}

			// The root limits nothing and is in no chain, but has a cpuset.
			root := open(t, l, "/")
			if memory, err = root.Memory(); err != nil || len(memory) != 0 {
				t.Errorf("root: %+v, %v", memory, err)
			}
			if cpu, err = root.CPU(); err != nil || len(cpu.Levels) != 0 || !cpu.HaveEffective || !cpu.Effective.Equal(c.online) {
				t.Errorf("root: %+v, %v", cpu, err)
			}
			if huge, err = root.Hugetlb(); err != nil || len(huge) != 0 {
				t.Errorf("root: %+v, %v", huge, err)
			}
		})
	}
}

// A host whose v2 root is mounted from below the true root:
//
//	/                   not to be seen
//	└─ docker           not to be seen
//	   └─ abc           the mount's root, 64 MiB: still a level
//	      └─ inner      no limit
func TestMountFromBelow(t *testing.T) {
	for _, c := range []struct {
		name, cgroup, mount string
		files               string // what tells that it's no true root
		self, inner         string // paths as /proc/PID/cgroup has them
	}{
		{"v2, no cgroup namespace", "0::/docker/abc\n", "/docker/abc /sys/fs/cgroup ro - cgroup2 none rw", "cgroup.events", "/docker/abc", "/docker/abc/inner"},
		{"v2, cgroup namespace", "0::/\n", "/ /sys/fs/cgroup ro - cgroup2 none rw", "cgroup.events", "/", "/inner"},
		{"v2, mounted from above the namespace", "0::/\n", "/.. /sys/fs/cgroup ro - cgroup2 none rw", "cgroup.events", "/..", "/../inner"},
		{"v1, cgroup namespace", "1:memory,cpu,cpuset:/\n", "/ /sys/fs/cgroup ro - cgroup cgroup rw,memory,cpu,cpuset", "cgroup.procs", "/", "/inner"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host(t, c.cgroup, "1 0 0:1 / / rw - ext4 none rw\n2 1 0:2 "+c.mount+"\n")
			maxFile, cpusFile := "memory.max", "cpuset.cpus.effective"
			if strings.HasPrefix(c.name, "v1") {
				maxFile, cpusFile = "memory.limit_in_bytes", "cpuset.effective_cpus"
			}
			h.Write("sys/fs/cgroup/"+c.files, "")
			h.Write("sys/fs/cgroup/"+maxFile, "67108864\n")
			h.Write("sys/fs/cgroup/"+cpusFile, "2-3\n")
			h.Write("sys/fs/cgroup/inner/cgroup.procs", "")
			l := detect(t, h)
			for path, levels := range map[string]int{c.self: 1, c.inner: 2} {
				text := "0::" + path + "\n"
				if strings.HasPrefix(c.name, "v1") {
					text = "1:memory,cpu,cpuset:" + path + "\n"
				}
				p, err := l.OfText([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				cg, err := l.Open(p)
				if err != nil {
					t.Fatal(err)
				}
				memory, err := cg.Memory()
				if err != nil || len(memory) != levels || memory.Max() != limits.To(64*mib) || memory[0].Path != path {
					t.Errorf("%s: %+v, %v, want %d levels and 64 MiB", path, memory, err, levels)
				}
				if cpu, err := cg.CPU(); err != nil || cpu.Effective.String() != "2-3" {
					t.Errorf("%s: %+v, %v", path, cpu, err)
				}
				if err := cg.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What a file says or doesn't, at two levels:
//
//	/procfs-shim-fixture     as captured (512 MiB; 1.5 CPUs)
//	└─ container             files changed one by one
func TestOddFiles(t *testing.T) {
	const (
		v1Memory = "sys/fs/cgroup/memory" + fixture.Container + "/"
		v1CPU    = "sys/fs/cgroup/cpu" + fixture.Container + "/"
		v1Cpuset = "sys/fs/cgroup/cpuset" + fixture.Container + "/"
		v2       = "sys/fs/cgroup" + fixture.Container + "/"
	)
	hosts := map[string]*fixture.Host{
		"debian12-hybrid": fixture.Load(t, "debian12-hybrid"),
		"debian12-v2":     fixture.Load(t, "debian12-v2"),
	}
	type result struct {
		memory limits.MemoryChain
		cpu    limits.CPUChain
	}
	for _, c := range []struct {
		name, host, file, text string
		remove                 bool
		bad                    bool
		check                  func(r result) bool
	}{
		{
			name: "limit 0 is a limit", host: "debian12-v2", file: v2 + "memory.max", text: "0\n",
			check: func(r result) bool { return r.memory.Max() == limits.To(0) },
		},
		{
			name: "v1 limit 0 is a limit", host: "debian12-hybrid", file: v1Memory + "memory.limit_in_bytes", text: "0\n",
			check: func(r result) bool { return r.memory.Max() == limits.To(0) },
		},
		{
			name: "2^63 is no limit", host: "debian12-v2", file: v2 + "memory.max", text: "9223372036854775808\n",
			check: func(r result) bool { return r.memory.Max() == limits.To(512*mib) },
		},
		{
			name: "v1 PAGE_COUNTER_MAX is no limit", host: "debian12-hybrid", file: v1Memory + "memory.limit_in_bytes", text: "9223372036854771712\n",
			check: func(r result) bool { return r.memory.Max() == limits.To(512*mib) },
		},
		{
			name: "no memory.max", host: "debian12-v2", file: v2 + "memory.max", remove: true,
			check: func(r result) bool { return r.memory.Max() == limits.To(512*mib) && r.memory[0].Usage > 0 },
		},
		{
			name: "no memory.stat", host: "debian12-v2", file: v2 + "memory.stat", remove: true,
			check: func(r result) bool {
				return r.memory[0].Stat == limits.MemoryStat{} && r.memory.Max() == limits.To(256*mib)
			},
		},
		{
			name: "v1 without swap accounting", host: "debian12-hybrid", file: "sys/fs/cgroup/memory" + fixture.Base + "/memory.memsw.limit_in_bytes", remove: true,
			check: func(r result) bool { return r.memory.SwapMax() == limits.None() },
		},
		{
			name: "v1 without use_hierarchy", host: "debian12-hybrid", file: "sys/fs/cgroup/memory" + fixture.Base + "/memory.use_hierarchy", remove: true,
			check: func(r result) bool { return len(r.memory) == 2 },
		},
		{
			name: "v1 parent that doesn't limit its children", host: "debian12-hybrid", file: "sys/fs/cgroup/memory" + fixture.Base + "/memory.use_hierarchy", text: "0\n",
			check: func(r result) bool { return len(r.memory) == 1 && r.memory.Max() == limits.To(256*mib) },
		},
		{
			name: "v1 container that wouldn't limit children", host: "debian12-hybrid", file: v1Memory + "memory.use_hierarchy", text: "0\n",
			check: func(r result) bool { return len(r.memory) == 2 },
		},
		{
			name: "no cpu.max", host: "debian12-v2", file: v2 + "cpu.max", remove: true,
			check: func(r result) bool { l, ok := r.cpu.Tightest(); return ok && l.Path == fixture.Base },
		},
		{
			name: "v1 tighter than its parent", host: "debian12-hybrid", file: v1CPU + "cpu.cfs_quota_us", text: "20000\n",
			check: func(r result) bool {
				l, _ := r.cpu.Tightest()
				n, _ := l.Quota.CPUs()
				return l.Path == fixture.Container && n == 1
			},
		},
		{
			name: "v1 quota without a period", host: "debian12-hybrid", file: "sys/fs/cgroup/cpu" + fixture.Base + "/cpu.cfs_period_us", remove: true,
			check: func(r result) bool { _, ok := r.cpu.Tightest(); return !ok },
		},
		{
			name: "no effective cpuset", host: "debian12-v2", file: v2 + "cpuset.cpus.effective", remove: true,
			check: func(r result) bool { return r.cpu.Effective.String() == "0-3" },
		},
		{
			name: "v1 empty effective cpuset", host: "debian12-hybrid", file: v1Cpuset + "cpuset.effective_cpus", text: "\n",
			check: func(r result) bool { return r.cpu.Effective.String() == "0-1" },
		},
		{
			name: "text longer than the buffer", host: "debian12-v2", file: v2 + "memory.stat", text: strings.Repeat("unknown_key 1\n", 3000) + "anon 5\n",
			check: func(r result) bool { return r.memory[0].Stat.Anon == 5 },
		},

		{name: "empty limit", host: "debian12-v2", file: v2 + "memory.max", text: "", bad: true},
		{name: "negative limit", host: "debian12-v2", file: v2 + "memory.high", text: "-5\n", bad: true},
		{name: "limit with a unit", host: "debian12-hybrid", file: v1Memory + "memory.memsw.limit_in_bytes", text: "5M\n", bad: true},
		{name: "bad usage", host: "debian12-v2", file: v2 + "memory.current", text: "max\n", bad: true},
		{name: "bad stat", host: "debian12-hybrid", file: v1Memory + "memory.stat", text: "total_rss\n", bad: true},
		{name: "empty quota", host: "debian12-hybrid", file: "sys/fs/cgroup/cpu" + fixture.Base + "/cpu.cfs_period_us", text: "", bad: true},
		{name: "bad cpu.max", host: "debian12-v2", file: v2 + "cpu.max", text: "1\n", bad: true},
		{name: "bad cpuset", host: "debian12-v2", file: v2 + "cpuset.cpus.effective", text: "0-\n", bad: true},
		{name: "endless file", host: "debian12-v2", file: v2 + "memory.stat", text: strings.Repeat("unknown_key 1\n", 100000), bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hosts[c.host]
			captured := h.Read(c.file)
			defer h.Write(c.file, captured)
			if c.remove {
				h.Remove(c.file)
			} else {
				h.Write(c.file, c.text)
			}
			cg := open(t, detect(t, h), fixture.Container)
			var r result
			var errMemory, errCPU error
			r.memory, errMemory = cg.Memory()
			r.cpu, errCPU = cg.CPU()
			err := errors.Join(errMemory, errCPU)
			if c.bad {
				if err == nil || !strings.Contains(err.Error(), h.Path(c.file)) {
					t.Errorf("error %v, want one that names %s", err, c.file)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(r) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// No cpuset and no memory controller anywhere: nothing is limited by them.
func TestNoController(t *testing.T) {
	h := host(t, "1:cpu:/a\n", "1 0 0:1 / / rw - ext4 none rw\n2 1 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
	h.Write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n")
	l := detect(t, h)
	cg := open(t, l, "/a")
	if memory, err := cg.Memory(); err != nil || memory != nil {
		t.Errorf("Memory() = %+v, %v", memory, err)
	}
	if cpu, err := cg.CPU(); err != nil || cpu.HaveEffective || len(cpu.Levels) != 1 {
		t.Errorf("CPU() = %+v, %v", cpu, err)
	}
	if huge, err := cg.Hugetlb(); err != nil || huge != nil {
		t.Errorf("Hugetlb() = %+v, %v", huge, err)
	}
	if _, err := l.Dir(cg.Paths(), "memory"); !errors.Is(err, cgroupread.ErrNoController) {
		t.Errorf("Dir: %v", err)
	}
	// Paths that came from elsewhere lack this host's controllers.
	if _, err := l.Open(cgroupread.Paths{}); !errors.Is(err, cgroupread.ErrNoController) {
		t.Errorf("Open(no paths): %v", err)
	}
}

func TestGone(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			cg := open(t, l, fixture.Container)
			dirs := []string{"sys/fs/cgroup" + fixture.Container}
			if name == "debian12-hybrid" {
				dirs = nil
				for _, c := range []string{"memory", "cpu", "cpuset", "unified"} {
					dirs = append(dirs, "sys/fs/cgroup/"+c+fixture.Container)
				}
			}
			for _, dir := range dirs {
				removeForGood(t, h, dir)
			}
			gone := func(when string) {
				t.Helper()
				_, memory := cg.Memory()
				_, cpu := cg.CPU()
				if !errors.Is(memory, cgroupread.ErrGone) || !errors.Is(cpu, cgroupread.ErrGone) {
					t.Errorf("%s: Memory: %v, CPU: %v, want ErrGone", when, memory, cpu)
				}
				// The hybrid host's cgroups have no hugetlb files to miss, but
				// cgroup.controllers.
				if _, err := cg.Hugetlb(); !errors.Is(err, cgroupread.ErrGone) {
					t.Errorf("%s: Hugetlb: %v, want ErrGone", when, err)
				}
			}
			gone("removed")
			if _, err := l.Open(cg.Paths()); !errors.Is(err, cgroupread.ErrGone) {
				t.Errorf("Open: %v, want ErrGone", err)
			}
			for _, dir := range dirs {
				h.Write(dir+"/cgroup.procs", "")
			}
			gone("made anew under its name")
		})
	}
}

func TestUnreadable(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	name := "sys/fs/cgroup" + fixture.Container + "/memory.max"
	h.Remove(name)
	if err := os.Mkdir(h.Path(name), 0o755); err != nil {
		t.Fatal(err)
	}
	// Not "no limit": a limit may be there.
	_, err := open(t, detect(t, h), fixture.Container).Memory()
	if err == nil || errors.Is(err, cgroupread.ErrGone) || !strings.Contains(err.Error(), h.Path(name)) {
		t.Errorf("error %v, want one that names the file", err)
	}
}

// Reads and Close at the same time: each read gives a whole chain or ErrClosed,
// and no descriptor is closed under one.
func TestConcurrentClose(t *testing.T) {
	l := detect(t, fixture.Load(t, "debian12-hybrid"))
	p, err := l.OfDir(fixture.Container)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		cg, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					memory, err := cg.Memory()
					if errors.Is(err, cgroupread.ErrClosed) {
						return
					}
					if err != nil || memory.Max() != limits.To(256*mib) {
						t.Errorf("%+v, %v", memory, err)
						return
					}
				}
			})
		}
		if _, err := cg.CPU(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := cg.Close(); err != nil {
				t.Error(err)
			}
		}
		readers.Wait()
		if _, err := cg.CPU(); !errors.Is(err, cgroupread.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// Handles give their descriptors back, also when opening fails half-way.
func TestNoDescriptorLeft(t *testing.T) {
	h := fixture.Load(t, "debian12-hybrid")
	h.Remove("sys/fs/cgroup/cpuset" + fixture.Sibling)
	l := detect(t, h)
	good, err := l.OfDir(fixture.Container)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := l.OfProcess(h.Proc, fixture.SiblingPID)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	for range 50 {
		cg, err := l.Open(good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cg.Memory(); err != nil {
			t.Error(err)
		}
		if _, err := cg.Hugetlb(); err != nil {
			t.Error(err)
		}
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Open(bad); !errors.Is(err, cgroupread.ErrGone) {
			t.Fatalf("Open: %v, want ErrGone", err)
		}
	}
	if after := descriptors(t); after > before+5 {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func BenchmarkMemory(b *testing.B) {
	h := fixture.Load(b, "debian12-v2")
	l, err := cgroupread.Detect(h.Proc)
	if err != nil {
		b.Fatal(err)
	}
	cg := openUnclosed(b, l, fixture.Container)
	var chain limits.MemoryChain
	b.ReportAllocs()
	for b.Loop() {
		if chain, err = cg.AppendMemory(chain[:0]); err != nil {
			b.Fatal(err)
		}
	}
	if err := cg.Close(); err != nil {
		b.Error(err)
	}
}
