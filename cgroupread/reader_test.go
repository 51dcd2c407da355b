// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// recorded is one file of a record.
type recorded struct {
	path, text string
	there      bool
}

func all(record *cgroupread.Record) []recorded {
	var files []recorded
	record.Each(func(path string, text []byte) {
		files = append(files, recorded{path, string(text), text != nil})
	})
	return files
}

// A record has the texts in order, also of files that say nothing or aren't
// there, and still has them when the cgroup is gone and the handle closed.
func TestRecord(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	dir := "sys/fs/cgroup" + fixture.Container + "/"
	h.Remove(dir + "io.pressure")
	h.Write(dir+"cpu.pressure", "")
	l := detect(t, h)
	cg := openUnclosed(t, l, fixture.Container)
	var record cgroupread.Record
	reader := cg.Reader(&record)
	for _, kind := range []string{"cpu", "memory", "io"} {
		if _, _, err := reader.Pressure(nil, kind); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := reader.Mems(); err != nil {
		t.Fatal(err)
	}
	want := []recorded{
		{h.Path(dir + "cpu.pressure"), "", true},
		{h.Path(dir + "memory.pressure"), h.Read(dir + "memory.pressure"), true},
		{h.Path(dir + "io.pressure"), "", false},
		{h.Path(dir + "cpuset.mems.effective"), h.Read(dir + "cpuset.mems.effective"), true},
	}
	h.Remove("sys/fs/cgroup" + fixture.Container)
	if _, err := reader.Memory(); !errors.Is(err, cgroupread.ErrGone) {
		t.Fatalf("removed: %v", err)
	}
	if err := cg.Close(); err != nil {
		t.Fatal(err)
	}
	got := all(&record)
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
	for _, file := range got[len(want):] { // what the container's parent still said isn't wrong
		if file.there && strings.HasPrefix(file.path, h.Path(dir)) {
			t.Errorf("recorded %+v of a removed cgroup", file)
		}
	}
	record.Reset()
	if got := all(&record); got != nil {
		t.Errorf("after Reset: %+v", got)
	}
}

type warmRead struct {
	name string
	read func(cgroupread.Reader) error
}

// warmReads are the methods as a server calls them, into memory that it keeps.
func warmReads() []warmRead {
	var (
		memory   limits.MemoryChain
		cpu      limits.CPUChain
		time     limits.CPUTime
		devices  []limits.DeviceIO
		counters []limits.Counter
		nodes    []limits.NodeMemory
		text     []byte
	)
	return []warmRead{
		{"Memory", func(r cgroupread.Reader) (err error) { memory, err = r.AppendMemory(memory[:0]); return err }},
		{"CPU", func(r cgroupread.Reader) error { return r.CPUInto(&cpu) }},
		{"CPUTime", func(r cgroupread.Reader) error { return r.CPUTime(&time) }},
		{"IO", func(r cgroupread.Reader) (err error) { devices, _, err = r.IO(devices[:0]); return err }},
		{"MemoryCounters", func(r cgroupread.Reader) (err error) { counters, err = r.MemoryCounters(counters[:0]); return err }},
		{"NodeMemory", func(r cgroupread.Reader) (err error) { nodes, err = r.NodeMemory(nodes[:0]); return err }},
		{"Mems", func(r cgroupread.Reader) error { _, _, err := r.Mems(); return err }},
		{"Pressure", func(r cgroupread.Reader) (err error) { text, _, err = r.Pressure(text[:0], "memory"); return err }},
		{"Slabinfo", func(r cgroupread.Reader) (err error) { text, _, err = r.Slabinfo(text[:0]); return err }},
	}
}

func BenchmarkReader(b *testing.B) {
	for _, name := range []string{"debian12-v1", "debian12-v2"} {
		l, err := cgroupread.Detect(fixture.Load(b, name).Proc)
		if err != nil {
			b.Fatal(err)
		}
		cg := openUnclosed(b, l, fixture.Container)
		for _, r := range warmReads() {
			b.Run(name+"/"+r.name, func(b *testing.B) {
				var record cgroupread.Record
				b.ReportAllocs()
				for b.Loop() {
					record.Reset()
					if err := r.read(cg.Reader(&record)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		if err := cg.Close(); err != nil {
			b.Error(err)
		}
	}
}

// A cgroup has no descriptor open before it is read, and none after Close; readers
// at the same time open each file once.
func TestDescriptors(t *testing.T) {
	h := fixture.Load(t, "debian12-hybrid")
	l := detect(t, h)
	p, err := l.OfProcess(h.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	cg, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open of a cgroup that nobody reads", n-before)
	}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			var time limits.CPUTime
			if err := cg.Reader(nil).CPUTime(&time); err != nil || time.Total == 0 {
				t.Errorf("%+v, %v", time, err)
			}
			if devices, counted, err := cg.Reader(nil).IO(nil); err != nil || !counted || len(devices) != 1 {
				t.Errorf("%+v, %v, %v", devices, counted, err)
			}
			if _, ok, err := cg.Reader(nil).Pressure(nil, "cpu"); err != nil || !ok {
				t.Errorf("pressure: %v, %v", ok, err)
			}
		})
	}
	readers.Wait()
	// cpuacct's three, of which usage_percpu and stat are read; quota of two
	// levels and period and cpu.stat of the one that has one; effective_cpus;
	// blkio's two; cpu.pressure; and the six directories that these are in.
	if n := descriptors(t) - before; n != 2+4+1+2+1+6 {
		t.Errorf("%d descriptors are open", n)
	}
	if err := cg.Close(); err != nil {
		t.Error(err)
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d were before", n, before)
	}
	if _, _, err := cg.Reader(nil).IO(nil); !errors.Is(err, cgroupread.ErrClosed) {
		t.Errorf("IO after Close: %v", err)
	}
}

// A hierarchy that is opened late gives the container's cgroup or none: not one
// that was made under its name since.
func TestLateGone(t *testing.T) {
	for _, c := range []struct {
		name string
		gone []string // hierarchies whose cgroup goes, and comes anew
	}{
		{"all", []string{"memory", "cpu", "cpuset", "cpuacct", "blkio", "unified"}},
		{"the late ones alone", []string{"cpuacct", "blkio"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := fixture.Load(t, "debian12-hybrid")
			l := detect(t, h)
			cg := open(t, l, fixture.Container)
			for _, controller := range c.gone {
				removeForGood(t, h, "sys/fs/cgroup/"+controller+fixture.Container)
			}
			want := func(when string) {
				t.Helper()
				var time limits.CPUTime
				if err := cg.Reader(nil).CPUTime(&time); !errors.Is(err, cgroupread.ErrGone) {
					t.Errorf("%s: CPUTime: %+v, %v, want ErrGone", when, time, err)
				}
				if devices, _, err := cg.Reader(nil).IO(nil); !errors.Is(err, cgroupread.ErrGone) {
					t.Errorf("%s: IO: %+v, %v, want ErrGone", when, devices, err)
				}
			}
			want("removed")
			if c.name != "all" {
				return
			}
			before := descriptors(t)
			for _, controller := range c.gone {
				h.Write("sys/fs/cgroup/"+controller+fixture.Container+"/cgroup.procs", "")
			}
			want("made anew under its name")
			if n := descriptors(t); n != before {
				t.Errorf("%d descriptors are open, %d were before", n, before)
			}
		})
	}
}

// Close while hierarchies are opened late: nothing is left open, whoever wins.
func TestLateClose(t *testing.T) {
	l := detect(t, fixture.Load(t, "debian12-hybrid"))
	p, err := l.OfDir(fixture.Container)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	for range 50 {
		cg, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				var time limits.CPUTime
				if err := cg.Reader(nil).CPUTime(&time); err != nil && !errors.Is(err, cgroupread.ErrClosed) {
					t.Error(err)
				}
				if _, _, err := cg.Reader(nil).IO(nil); err != nil && !errors.Is(err, cgroupread.ErrClosed) {
					t.Error(err)
				}
			})
		}
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
		readers.Wait()
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d were before", n, before)
	}
}

// On hybrid a container can be in cgroup2 among others: their pressure and CPU
// time isn't its own.
//
//	memory: /docker/abc     unified: /engine
func TestNotOwnUnified(t *testing.T) {
	const mounts = "1 0 0:1 / / rw - ext4 none rw\n2 1 0:2 / /cg/memory rw - cgroup cgroup rw,memory\n3 1 0:3 / /cg/unified rw - cgroup2 none rw\n"
	h := host(t, "1:memory:/docker/abc\n0::/engine\n", mounts)
	h.Write("cg/memory/docker/abc/memory.limit_in_bytes", "5\n")
	h.Write("cg/memory/docker/abc/tasks", "7\n")
	for _, dir := range []string{"cg/unified/engine/", "cg/unified/docker/abc/"} {
		h.Write(dir+"cgroup.procs", "")
		h.Write(dir+"cpu.pressure", dir)
		h.Write(dir+"cpu.stat", "usage_usec 5\n")
		h.Write(dir+"cgroup.threads", "8\n")
	}
	h.Write("cg/unified/cgroup.controllers", "")
	for unified, own := range map[string]bool{"/engine": false, "/docker/abc": true} {
		l := detect(t, h)
		p, err := l.OfText([]byte("1:memory:/docker/abc\n0::" + unified + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		cg, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		text, ok, err := cg.Reader(nil).Pressure(nil, "cpu")
		if err != nil || ok != own || ok && string(text) != "cg/unified/docker/abc/" {
			t.Errorf("in %s: pressure %q, %v, %v", unified, text, ok, err)
		}
		var time limits.CPUTime
		if err := cg.Reader(nil).CPUTime(&time); err != nil || time.Total > 0 != own {
			t.Errorf("in %s: %+v, %v", unified, time, err)
		}
		if tids, complete, err := cg.Reader(nil).Tasks(nil, 5); err != nil || !complete || !slices.Equal(tids, []int{7}) {
			t.Errorf("in %s: threads %v, %v, %v", unified, tids, complete, err)
		}
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What no hierarchy has is empty, never an error.
func TestReaderWithoutControllers(t *testing.T) {
	h := host(t, "1:cpu:/a\n", "1 0 0:1 / / rw - ext4 none rw\n2 1 0:2 / /cg/cpu rw - cgroup cgroup rw,cpu\n")
	h.Write("cg/cpu/a/cpu.cfs_quota_us", "5000\n")
	h.Write("cg/cpu/a/cpu.cfs_period_us", "10000\n")
	h.Write("cg/cpu/a/cpu.stat", "throttled_time 5\n")
	cg := open(t, detect(t, h), "/a")
	var time limits.CPUTime
	if err := cg.Reader(nil).CPUTime(&time); err != nil || time.Total != 0 || len(time.Chain.Levels) != 1 || time.Chain.Levels[0].Throttled != 5 {
		t.Errorf("CPUTime: %+v, %v", time, err)
	}
	for _, m := range methods() {
		if _, err := m.read(cg.Reader(nil)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if _, ok, err := cg.Reader(nil).Mems(); ok || err != nil {
		t.Errorf("Mems: %v, %v", ok, err)
	}
	if _, counted, err := cg.Reader(nil).IO(nil); counted || err != nil {
		t.Errorf("IO: %v, %v", counted, err)
	}
	if _, _, err := cg.Reader(nil).Pressure(nil, "disk"); err == nil || !strings.Contains(err.Error(), `"disk"`) {
		t.Errorf("a pressure that there isn't: %v", err)
	}
}

// What single files give, other than what captures have.
func TestReaderFiles(t *testing.T) {
	v1, v2 := fixture.Load(t, "debian12-v1"), fixture.Load(t, "debian12-v2")
	blkio, memory := "sys/fs/cgroup/blkio"+fixture.Container+"/blkio.throttle.", "sys/fs/cgroup/memory"+fixture.Container+"/"
	acct, base := "sys/fs/cgroup/cpu,cpuacct"+fixture.Container+"/", "sys/fs/cgroup/cpu,cpuacct"+fixture.Base+"/"
	unified := "sys/fs/cgroup" + fixture.Container + "/"
	h1 := open(t, detect(t, v1), fixture.Container).Reader(nil)
	h2 := open(t, detect(t, v2), fixture.Container).Reader(nil)

	v1.Remove(blkio + "io_service_bytes_recursive")
	v1.Remove(blkio + "io_serviced_recursive")
	v1.Write(blkio+"io_service_bytes", "8:0 Read 9\nTotal 9\n")
	v1.Write(blkio+"io_serviced", "8:0 Read 2\nTotal 2\n")
	devices, counted, err := h1.IO(nil)
	if want := []limits.DeviceIO{{Major: 8, ReadBytes: 9, ReadCount: 2}}; err != nil || !counted || !slices.Equal(devices, want) {
		t.Errorf("without recursive files: %+v, %v, %v", devices, counted, err)
	}
	v1.Write(blkio+"io_service_bytes", "Total 0\n")
	v1.Write(blkio+"io_serviced", "Total 0\n")
	if devices, counted, err = h1.IO(nil); err != nil || counted || len(devices) > 0 {
		t.Errorf("no device on v1: %+v, %v, %v", devices, counted, err)
	}
	v2.Write(unified+"io.stat", "")
	if devices, counted, err = h2.IO(nil); err != nil || !counted || len(devices) > 0 {
		t.Errorf("no device on v2: %+v, %v, %v", devices, counted, err)
	}

	v1.Write(memory+"memory.kmem.slabinfo", strings.Repeat("kmalloc-8 1 2\n", 5000))
	text, ok, err := h1.Slabinfo([]byte("x"))
	if err != nil || !ok || len(text) != 1+5000*14 {
		t.Errorf("slabinfo: %d bytes, %v, %v", len(text), ok, err)
	}
	v1.Write(memory+"memory.kmem.slabinfo", "")
	if text, ok, err = h1.Slabinfo(nil); err != nil || ok || text != nil {
		t.Errorf("an empty slabinfo: %q, %v, %v", text, ok, err)
	}
	v1.Write(memory+"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
	counters, err := h1.MemoryCounters(nil)
	if err != nil || !slices.Contains(counters, limits.Counter{Name: "oom_kill", Value: 4}) {
		t.Errorf("counters %+v, %v", counters, err)
	}

	// The sum of all CPUs, unless there is no such file; the quota's level alone.
	v1.Write(acct+"cpuacct.usage_percpu", "3 4 \n")
	v1.Write(acct+"cpuacct.usage", "9\n")
	v1.Write(acct+"cpu.stat", "throttled_time 1\n")
	v1.Write(base+"cpu.stat", "throttled_time 2\n")
	var time limits.CPUTime
	if err := h1.CPUTime(&time); err != nil || time.Total != 7 || len(time.PerCPU) != 2 ||
		time.Chain.Levels[0].Throttled != 0 || time.Chain.Levels[1].Throttled != 2 {
		t.Errorf("CPUTime: %+v, %v", time, err)
	}
	v1.Write(acct+"cpuacct.usage_percpu", "18446744073709551615 18446744073709551615 \n")
	if err := h1.CPUTime(&time); err != nil || time.Total != math.MaxInt64 {
		t.Errorf("CPUTime of the largest numbers: %+v, %v", time, err)
	}
	v1.Remove(acct + "cpuacct.usage_percpu")
	if err := h1.CPUTime(&time); err != nil || time.Total != 9 || len(time.PerCPU) != 0 {
		t.Errorf("CPUTime without usage_percpu: %+v, %v", time, err)
	}
	v1.Write(acct+"cpu.cfs_quota_us", "1000\n")
	if err := h1.CPUTime(&time); err != nil || time.Chain.Levels[0].Throttled != 1 {
		t.Errorf("CPUTime with a quota: %+v, %v", time, err)
	}
	v2.Write(unified+"cpu.stat", "usage_usec 6\nuser_usec 2\nsystem_usec 4\n")
	v2.Write(unified+"cpu.max", "5000 10000\n")
	if err := h2.CPUTime(&time); err != nil || time.Total != 6000 || time.User != 2000 || time.System != 4000 || len(time.PerCPU) != 0 || time.Chain.Levels[0].Throttled != 0 {
		t.Errorf("v2 CPUTime: %+v, %v", time, err)
	}
}

// A cgroup that goes file by file while it is read: each read is whole, or says
// what it could not have, and no descriptor stays behind.
func TestVanishing(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			before := descriptors(t)
			cg := openUnclosed(t, l, fixture.Container)
			var readers sync.WaitGroup
			for _, m := range methods() {
				readers.Go(func() {
					for range 10000 {
						if _, err := m.read(cg.Reader(nil)); errors.Is(err, cgroupread.ErrGone) {
							return
						} else if err != nil {
							t.Errorf("%s: %v", m.name, err)
							return
						}
					}
				})
			}
			dirs, err := filepath.Glob(h.Path("sys/fs/cgroup/*" + fixture.Container))
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range append(dirs, h.Path("sys/fs/cgroup"+fixture.Container)) {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			}
			readers.Wait()
			if err := cg.Close(); err != nil {
				t.Error(err)
			}
			if n := descriptors(t); n != before {
				t.Errorf("%d descriptors are open, %d were before", n, before)
			}
		})
	}
}

// Of an ancestor without limits nothing but these is read; what limits swap alone
// takes the swap in use.
func TestUnlimitedAncestor(t *testing.T) {
	for _, c := range []struct {
		host, dir string
		limits    []string // of the ancestor
		stat      int      // files that are read of one that limits nothing
	}{
		{"debian12-v2", "sys/fs/cgroup", []string{"memory.max", "memory.high", "memory.swap.max"}, 3},
		{"debian12-hybrid", "sys/fs/cgroup/memory", []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}, 2},
	} {
		h := fixture.Load(t, c.host)
		base := c.dir + fixture.Base
		cg := open(t, detect(t, h), fixture.Container)
		read := func() (files int, parent limits.Memory) {
			t.Helper()
			var record cgroupread.Record
			chain, err := cg.Reader(&record).Memory()
			if err != nil || len(chain) != 2 {
				t.Fatal(chain, err)
			}
			for _, file := range all(&record) {
				if filepath.Dir(file.path) == h.Path(base) {
					files++
				}
			}
			if chain[0].Usage == 0 || chain[0].Stat.File == 0 {
				t.Errorf("%s: the container's own: %+v", c.host, chain[0])
			}
			return files, chain[1]
		}
		none := "max\n"
		if c.stat == 2 {
			none = "9223372036854771712\n"
		}
		for _, file := range c.limits {
			h.Write(base+"/"+file, none)
		}
		if n, parent := read(); n != c.stat || parent.Usage != 0 || parent.Stat != (limits.MemoryStat{}) || parent.Max != limits.None() {
			t.Errorf("%s: %d files, %+v", c.host, n, parent)
		}
		for _, file := range c.limits {
			h.Write(base+"/"+file, "536870912\n")
			n, parent := read()
			if swap := file == "memory.swap.max"; (parent.Stat.File == 0) != swap || (parent.Usage == 0) != swap || n <= c.stat {
				t.Errorf("%s: limited by %s: %d files, %+v", c.host, file, n, parent)
			}
			h.Write(base+"/"+file, none)
		}
	}
}

func TestIsRoot(t *testing.T) {
	for _, name := range []string{"debian12-v2", "debian12-hybrid"} {
		h := fixture.Load(t, name)
		l := detect(t, h)
		cg := openUnclosed(t, l, fixture.Container)
		if root, err := cg.Reader(nil).IsRoot(); root || err != nil {
			t.Errorf("%s: %v, %v", name, root, err)
		}
		if root, err := open(t, l, "/").Reader(nil).IsRoot(); !root || err != nil {
			t.Errorf("%s: the root: %v, %v", name, root, err)
		}
		for _, dir := range []string{"", "/cpu"} {
			if _, err := os.Stat(h.Path("sys/fs/cgroup" + dir + fixture.Container)); err == nil {
				h.Remove("sys/fs/cgroup" + dir + fixture.Container)
			}
		}
		if _, err := cg.Reader(nil).IsRoot(); !errors.Is(err, cgroupread.ErrGone) {
			t.Errorf("%s: removed: %v", name, err)
		}
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
		if _, err := cg.Reader(nil).IsRoot(); !errors.Is(err, cgroupread.ErrClosed) {
			t.Errorf("%s: closed: %v", name, err)
		}
	}
}
