// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// eachHost runs a test over every captured host.
func eachHost(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) { test(t, newRig(t, name)) })
	}
}

func TestReadsLimits(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		r.host.Write(r.limitFile(), "104857600\n")
		if got := field(t, r.read("c/proc/meminfo"), "MemTotal"); got != "102400" {
			t.Errorf("MemTotal is %s kB, want 102400", got)
		}
		cpuinfo := r.read("c/proc/cpuinfo")
		ids := strings.TrimSpace(r.read("c/sys/devices/system/cpu/online"))
		if n := strings.Count("\n"+cpuinfo, "\nprocessor"); n < 1 || n == 1 && strings.ContainsAny(ids, ",-") {
			t.Errorf("%d CPUs in cpuinfo, %q in online", n, ids)
		}
	})
}

func TestOneSnapshotPerPass(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		for _, f := range r.files() {
			for _, size := range []int{1, 7, 128, 4096, 65536} {
				h := r.open("c/" + f.Path)
				whole := h.must(maxRead, 0)
				r.host.Write(r.limitFile(), fmt.Sprintln((100+size)<<20))
				if got := h.pass(size, 1); got != whole[min(1, len(whole)):] {
					t.Errorf("%s: reading on in %d byte steps gives another text", f.Path, size)
				}
				h.close()
			}
		}
	})
}

func TestOffsets(t *testing.T) {
	r := newRig(t, "debian12-hybrid")
	h := r.open("c/proc/meminfo")
	first := h.must(4096, 100)
	if first == "" || !strings.HasSuffix(h.must(maxRead, 0), first) {
		t.Errorf("a first read at offset 100 gives %q", first)
	}
	length := int64(len(h.must(maxRead, 0)))
	for _, offset := range []int64{length, length + 1, 1 << 20, math.MaxInt64} {
		if got := h.must(4096, offset); got != "" {
			t.Errorf("%q at offset %d, past the end", got, offset)
		}
	}
}

func TestFreshAtOffset0(t *testing.T) {
	r := newRig(t, "debian12-v2")
	h := r.open("c/proc/meminfo")
	for _, mib := range []int{64, 65, 66} {
		r.host.Write(r.limitFile(), fmt.Sprintln(mib<<20))
		if got := field(t, h.must(maxRead, 0), "MemTotal"); got != strconv.Itoa(mib<<10) {
			t.Errorf("MemTotal is %s kB with a limit of %d MiB", got, mib)
		}
	}
}

func TestHostFilesAreSharedFor10ms(t *testing.T) {
	r := newRig(t, "debian12-v2")
	total := func() string { return field(t, r.read("c/proc/meminfo"), "VmallocTotal") }
	before := total()
	r.host.Write("proc/meminfo", strings.Replace(r.host.Read("proc/meminfo"), before, "1111", 1))
	r.clock.add(10 * time.Millisecond)
	if got := total(); got != before {
		t.Errorf("the host's file was read again within 10 ms")
	}
	r.clock.add(time.Millisecond)
	if got := total(); got != "1111" {
		t.Errorf("VmallocTotal is %s after 11 ms, want 1111", got)
	}
}

func TestCPUsOfflineAreSeen(t *testing.T) {
	r := newRig(t, "debian12-hybrid")
	if n := strings.Count(r.read("c/proc/cpuinfo"), "processor\t"); n != 1 && n != 2 {
		t.Fatalf("%d CPUs", n)
	}
	r.host.Write("sys/devices/system/cpu/online", "1\n")
	r.clock.add(11 * time.Millisecond)
	if got := r.read("c/sys/devices/system/cpu/online"); got != "1\n" {
		t.Errorf("online is %q after CPU 0 went offline", got)
	}
	if got := r.read("c/proc/cpuinfo"); !strings.HasPrefix(got, "processor\t: 1\n") || strings.Count(got, "processor\t") != 1 {
		t.Errorf("cpuinfo after CPU 0 went offline:\n%s", got)
	}
}

func TestGoneCgroup(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		good := r.read("c/proc/meminfo")
		r.host.Remove(strings.TrimSuffix(r.limitFile()[:strings.LastIndex(r.limitFile(), "/")], "/"))
		h := r.open("c/proc/meminfo")
		for range 3 {
			if got := h.must(maxRead, 0); got != good {
				t.Errorf("not the last good text:\n%s", got)
			}
		}
		r.clock.add(texts.LastGoodMaxAge)
		if got := h.must(maxRead, 0); got != good {
			t.Errorf("not the last good text after 30 s:\n%s", got)
		}
		r.clock.add(time.Millisecond)
		if _, err := h.pread(maxRead, 0); err == nil || !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("read after more than 30 s: %v, want EIO", err)
		}
		if got := r.bound.Errors("c"); got[failure.CauseCgroupGone] != 5 || len(got) != 1 {
			t.Errorf("counted %v, want 5 × %s", got, failure.CauseCgroupGone)
		}
		if lines := r.log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "cgroup-gone") {
			t.Errorf("logged %d lines, want one:\n%s", len(lines), strings.Join(lines, "\n"))
		}
	})
}

func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		cause            Cause
	}{
		{"a limit that is no number", "", "many\n", failure.CauseCgroup},
		{"a host file that is none", "proc/meminfo", "MemTotal: lots\n", failure.CauseHost},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, "debian12-v2")
			if test.file == "" {
				test.file = r.limitFile()
			}
			r.host.Write(test.file, test.text)
			h := r.open("c/proc/meminfo")
			if got, err := h.pread(maxRead, 0); err == nil {
				t.Fatalf("no error, but:\n%s", got)
			}
			if got := r.bound.Errors("c"); got[test.cause] != 1 {
				t.Errorf("counted %v, want %s", got, test.cause)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	r := newRig(t, "debian12-v2")
	for range 2 {
		s, err := r.shim.texts.Generate(texts.Text{File: fileAt(t, "proc/meminfo")}, view.Policy{}, func([]byte, *File, source.How) ([]byte, error) { panic("a bug") })
		if errno, cause := failure.Of(err); s != nil || errno != unix.EIO || cause != failure.CauseInternal {
			t.Errorf("%v is %v, %s", err, errno, cause)
		}
	}
}

func TestAddRemove(t *testing.T) {
	r := newRig(t, "debian12-v2")
	open := func() *cgroupread.Cgroup {
		paths, err := r.layout.OfProcess(r.host.Proc, fixture.ContainerPID)
		if err != nil {
			t.Fatal(err)
		}
		cg, err := r.layout.Open(paths)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cg.Close() })
		return cg
	}
	for _, id := range []string{"", ".", "..", "a/b", "a\x00", strings.Repeat("x", 256)} {
		if _, err := r.bound.Add(Container{ID: id, Cgroup: open()}); !errors.Is(err, ErrInvalidID) {
			t.Errorf("Add(%q): %v", id, err)
		}
	}
	if _, err := r.bound.Add(Container{ID: "c", Cgroup: open()}); !errors.Is(err, ErrExists) {
		t.Errorf("Add twice: %v", err)
	}
	h := r.open("c/proc/meminfo")
	h.must(100, 0)
	old, _ := r.lookup("c/proc/meminfo")
	r.bound.Remove("c")
	r.bound.Remove("c")
	if _, st := r.lookup("c"); st != fuse.ENOENT {
		t.Errorf("lookup after Remove: %v", st)
	}
	for _, offset := range []int64{0, 50} {
		if _, err := h.pread(100, offset); err == nil {
			t.Errorf("a read at %d after Remove succeeds", offset)
		}
	}
	h.close()
	var attr fuse.AttrOut
	if st := r.fs.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: old.NodeId}}, &attr); st != fuse.Status(unix.ESTALE) {
		t.Errorf("stat after Remove: %v", st)
	}
	if _, err := r.bound.Add(Container{ID: "c", Cgroup: open()}); err != nil {
		t.Fatal(err)
	}
	if again, _ := r.lookup("c/proc/meminfo"); again.NodeId == old.NodeId {
		t.Errorf("a new container was given the inodes of an old one")
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	r := newRig(t, "debian12-hybrid")
	h := r.open("c/proc/meminfo")
	want := len(h.must(maxRead, 0))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				text, err := h.pread(maxRead, int64(i*10))
				if err != nil || len(text) != want-i*10 {
					t.Errorf("reader %d: %d bytes, %v; want %d", i, len(text), err, want-i*10)
					return
				}
			}
		})
	}
	all.Go(func() {
		for i := range 100 {
			id := fmt.Sprintf("other%d", i)
			paths, err := r.layout.OfProcess(r.host.Proc, fixture.SiblingPID)
			if err != nil {
				t.Error(err)
				return
			}
			cg, err := r.layout.Open(paths)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := r.bound.Add(Container{ID: id, Cgroup: cg}); err != nil {
				t.Error(err)
			}
			r.bound.Remove(id)
		}
	})
	all.Wait()
}
