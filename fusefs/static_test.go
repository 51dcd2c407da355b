// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

const (
	staticCPUInfo = "c/proc/cpuinfo"
	staticOnline  = "c/sys/devices/system/cpu/online"
	effectiveCPUs = "sys/fs/cgroup" + fixture.Container + "/cpuset.cpus.effective"
)

// able is what a kernel says that can keep static files.
func able() *fuse.InitIn {
	return &fuse.InitIn{Flags: uint32(fuse.CAP_NO_OPEN_SUPPORT | fuse.CAP_AUTO_INVAL_DATA)}
}

// newStaticRig is newRig with the tree of static files.
func newStaticRig(t *testing.T, name string) *rig {
	t.Helper()
	r := newRig(t, name)
	r.fs = newFilesystem(NewStatic(r.bound))
	r.fs.keep(able())
	return r
}

// A page is what the kernel has of a file: its attributes, then its content.
type page struct {
	size  uint64
	mtime time.Time
	text  string
}

// stat is GETATTR.
func (r *rig) stat(path string) page {
	r.t.Helper()
	entry, st := r.lookup(path)
	var out fuse.AttrOut
	if st.Ok() {
		st = r.fs.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: entry.NodeId}}, &out)
	}
	if !st.Ok() {
		r.t.Fatalf("stat %s: %v", path, st)
	}
	if out.Timeout() != staticValid || entry.AttrTimeout() != staticValid {
		r.t.Errorf("%s: attributes are valid for %v, %v", path, out.Timeout(), entry.AttrTimeout())
	}
	return page{size: out.Size, mtime: time.Unix(int64(out.Mtime), int64(out.Mtimensec))}
}

// node is a file's inode number. A LOOKUP of the file would look at its version.
func (r *rig) node(path string) uint64 {
	r.t.Helper()
	id, file, _ := strings.Cut(path, "/")
	slot, ok := r.bound.slotNamed(id)
	if !ok {
		r.t.Fatalf("no container %s", id)
	}
	return nodes.Inode(slot, fileAt(r.t, file).Number)
}

// fill is READ for the page cache: no open file, no lock owner.
func (r *rig) fill(path string) (string, fuse.Status) {
	r.t.Helper()
	result, st := r.fs.Read(nil, &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: r.node(path)}, Size: maxRead}, nil)
	if !st.Ok() {
		return "", st
	}
	defer result.Done()
	text, st := result.Bytes(nil)
	return string(text), st
}

// kept is stat and fill, which must fit.
func (r *rig) kept(path string) page {
	r.t.Helper()
	p := r.stat(path)
	text, st := r.fill(path)
	if !st.Ok() || uint64(len(text)) != p.size || text == "" {
		r.t.Fatalf("%s: %d bytes, %v; its size is %d", path, len(text), st, p.size)
	}
	p.text = text
	return p
}

func TestStaticSaysWhatBoundSays(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		live := map[string]string{}
		for _, f := range r.files() {
			if f.Static {
				live["c/"+f.Path] = r.read("c/" + f.Path)
			}
		}
		if len(live) < 3 {
			t.Errorf("static are only %v", live)
		}
		r.fs = newFilesystem(NewStatic(r.bound))
		r.fs.keep(able())
		for path, want := range live {
			if got := r.kept(path); got.text != want {
				t.Errorf("%s: %q, want %q", path, got.text, want)
			}
		}
	})
}

func TestStaticLayout(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	for dir, want := range map[string]string{
		"c": "[. .. proc sys]", "c/proc": "[. .. cpuinfo]", "c/sys/devices/system": "[. .. cpu]",
		"c/sys/devices/system/cpu": "[. .. online offline]",
	} {
		entry, st := r.lookup(dir)
		if !st.Ok() {
			t.Fatalf("%s: %v", dir, st)
		}
		if got := fmt.Sprint(r.list(entry.NodeId, 4096)); got != want {
			t.Errorf("%s lists %s, want %s", dir, got, want)
		}
	}
	if _, st := r.lookup("c/proc/meminfo"); st != fuse.ENOENT {
		t.Errorf("meminfo: %v", st)
	}
	entry, _ := r.lookup(staticOnline)
	for flags, want := range map[uint32]fuse.Status{unix.O_RDONLY: fuse.ENOSYS, unix.O_RDWR: fuse.EROFS, unix.O_TRUNC: fuse.EROFS} {
		in := fuse.OpenIn{InHeader: fuse.InHeader{NodeId: entry.NodeId}, Flags: flags}
		if st := r.fs.Open(nil, &in, &fuse.OpenOut{}); st != want {
			t.Errorf("open with flags %#x: %v, want %v", flags, st, want)
		}
	}
}

// A kernel that lacks something, and a tree that is told to, serve live files.
func TestStaticOnOldKernels(t *testing.T) {
	for name, test := range map[string]struct {
		tree   func(*Bound) *Static
		kernel *fuse.InitIn
	}{
		"neither":       {NewStatic, &fuse.InitIn{}},
		"asks for OPEN": {NewStatic, &fuse.InitIn{Flags: uint32(fuse.CAP_AUTO_INVAL_DATA)}},
		"keeps pages":   {NewStatic, &fuse.InitIn{Flags: uint32(fuse.CAP_NO_OPEN_SUPPORT)}},
		"told to":       {NewStaticLive, able()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "debian12-v2")
			r.fs = newFilesystem(test.tree(r.bound))
			r.fs.keep(test.kernel)
			h := r.open(staticOnline) // which checks the flags
			if got := h.pass(1, 0); got != "3\n" {
				t.Errorf("online is %q", got)
			}
			if _, st := r.fill(staticOnline); st != fuse.EINVAL {
				t.Errorf("a read for the page cache: %v", st)
			}
			if entry, _ := r.lookup(staticOnline); entry.Size != nominalSize() || entry.AttrTimeout() != nodeValid {
				t.Errorf("%d bytes for %v", entry.Size, entry.AttrTimeout())
			}
		})
	}
}

// A new text comes with a new time, an old one with the old; READ gives what was
// told.
func TestStaticVersions(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	var last time.Time
	for _, step := range []struct {
		set, online string
		cpus        int
		same        bool
	}{
		{"3\n", "3\n", 1, false},
		{"3\n", "3\n", 1, true},
		{"0-3\n", "0-1\n", 2, false}, // the ancestor's quota
		{"0-2\n", "0-1\n", 2, true},
		{"2\n", "2\n", 1, false},
		{"3\n", "3\n", 1, false},
	} {
		before, cpuinfo := "", ""
		if !last.IsZero() {
			before, _ = r.fill(staticOnline)
			cpuinfo, _ = r.fill(staticCPUInfo)
		}
		r.host.Write(effectiveCPUs, step.set)
		if !last.IsZero() {
			if now, _ := r.fill(staticOnline); now != before {
				t.Errorf("a text of %q that the kernel wasn't told of", now)
			}
			if now, _ := r.fill(staticCPUInfo); now != cpuinfo {
				t.Errorf("a cpuinfo that the kernel wasn't told of")
			}
		}
		info := r.kept(staticCPUInfo)
		p := r.kept(staticOnline)
		if p.text != step.online || strings.Count(info.text, "processor\t") != step.cpus {
			t.Errorf("cpuset %q: online is %q, cpuinfo\n%s", step.set, p.text, info.text)
		}
		// The clock stands still.
		if p.mtime.Equal(last) != step.same || p.mtime.Before(last) {
			t.Errorf("cpuset %q: the version is of %v, was of %v", step.set, p.mtime, last)
		}
		last = p.mtime
	}
}

func TestStaticHost(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	before := r.kept(staticOnline)
	r.host.Write("sys/devices/system/cpu/online", "0-2\n")
	r.clock.add(time.Hour) // unread
	if now := r.kept(staticOnline); now.text != "0-1\n" || !now.mtime.After(before.mtime) {
		t.Errorf("after CPU 3 went offline: %+v", now)
	}
	// A policy.
	r.bound.SetPolicy("c", view.Policy{CPUView: view.CPUViewHost})
	if now := r.kept(staticOnline); now.text != "0-2\n" {
		t.Errorf("with the view of the host: %+v", now)
	}
}

// Of a running host the clock rates change all the time.
func TestStaticMHz(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	first := r.kept(staticCPUInfo)
	r.clock.add(2 * time.Second)
	if now := r.kept(staticCPUInfo); now != first {
		t.Errorf("the same text has another version:\n%+v\n%+v", first, now)
	}
	text := r.host.Read("proc/cpuinfo")
	at := strings.Index(text, "cpu MHz\t\t: ") + len("cpu MHz\t\t: ")
	number, _, _ := strings.Cut(text[at:], "\n")
	r.host.Write("proc/cpuinfo", strings.ReplaceAll(text, number, "1111.111"))
	r.clock.add(500 * time.Millisecond)
	if now := r.kept(staticCPUInfo); now != first {
		t.Errorf("another version within a second of the last reading:\n%+v", now)
	}
	r.clock.add(500*time.Millisecond - staticValid) // and so old may what the kernel has be
	if now := r.kept(staticCPUInfo); !strings.Contains(now.text, "1111.111") || !now.mtime.After(first.mtime) {
		t.Errorf("after a second the clock rate is the old one:\n%+v", now)
	}
}

// The last good text counts from when it last was seen to hold.
func TestStaticGone(t *testing.T) {
	for _, p := range []view.OnError{view.OnErrorEIO, view.OnErrorHost} {
		r := newStaticRig(t, "debian12-v2")
		r.bound.SetPolicy("c", view.Policy{OnError: p})
		good := r.kept(staticCPUInfo)
		r.clock.add(time.Hour)
		if now := r.kept(staticCPUInfo); now != good {
			t.Errorf("after an hour:\n%+v", now)
		}
		well := r.host.Read(effectiveCPUs)
		r.host.Write(effectiveCPUs, "nonsense\n")
		r.clock.add(texts.LastGoodMaxAge)
		if now := r.kept(staticCPUInfo); now != good {
			t.Errorf("not the last good text:\n%+v", now)
		}
		r.clock.add(time.Millisecond)
		if p == view.OnErrorHost {
			if now := r.kept(staticCPUInfo); now.text != r.host.Read("proc/cpuinfo") || !now.mtime.After(good.mtime) {
				t.Errorf("not the host's text:\n%+v", now)
			}
		} else {
			told := r.stat(staticCPUInfo)
			if _, st := r.fill(staticCPUInfo); st != fuse.EIO || told.size != nominalSize() || !told.mtime.After(good.mtime) {
				t.Errorf("after 30 s: %v, %+v", st, told)
			}
			if again := r.stat(staticCPUInfo); again != told {
				t.Errorf("another version of an error: %+v, was %+v", again, told)
			}
		}
		counts := r.bound.Errors("c")
		if counts[failure.CauseCgroup] < 2 || len(counts) != 1 {
			t.Errorf("counted %v", counts)
		}
		r.host.Write(effectiveCPUs, well)
		if now := r.kept(staticCPUInfo); now.text != good.text || !now.mtime.After(good.mtime) {
			t.Errorf("after the cure:\n%+v", now)
		}
	}
}

func TestStaticNeverGood(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	r.host.Write(effectiveCPUs, "nonsense\n")
	// What a former process told of isn't known to this one.
	if _, st := r.fill(staticOnline); st != fuse.EIO {
		t.Errorf("read: %v", st)
	}
}

func TestStaticRemoved(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	r.kept(staticOnline)
	entry, _ := r.lookup(staticOnline)
	r.bound.Remove("c")
	at := fuse.InHeader{NodeId: entry.NodeId}
	if st := r.fs.GetAttr(nil, &fuse.GetAttrIn{InHeader: at}, &fuse.AttrOut{}); st != fuse.Status(unix.ESTALE) {
		t.Errorf("stat: %v", st)
	}
	if _, st := r.fs.Read(nil, &fuse.ReadIn{InHeader: at, Size: 10}, nil); st != fuse.Status(unix.ESTALE) {
		t.Errorf("read: %v", st)
	}
}

func TestStaticExplain(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	p := r.kept(staticCPUInfo)
	entry, _ := r.lookup(staticCPUInfo)
	id, st := handle{r, entry.NodeId, 0}.ioctl(snapshotRequest, 8)
	if !st.Ok() {
		t.Fatal(st)
	}
	e, err := r.bound.Explain("c", "proc/cpuinfo", id)
	if err != nil || string(e.Text) != p.text || e.File != "proc/cpuinfo" || len(e.Inputs) == 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, st := (handle{r, nodes.Inode(1, nodes.Top), 0}).ioctl(snapshotRequest, 8); st != fuse.Status(unix.ENODATA) {
		t.Errorf("of a directory: %v", st)
	}
}

// Readers while the text changes: each version has one text and the size that was
// told with it, and the last one wins.
func TestStaticChangesWhileRead(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	f := fileAt(t, "sys/devices/system/cpu/online")
	c, ok := r.bound.acquire(1)
	if !ok {
		t.Fatal("no container")
	}
	defer c.Release()
	sets := []string{"0-3\n", "2\n", "3\n", "1-2\n", "1,3\n"}
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		all.Go(func() {
			var last time.Time
			for !closed(done) {
				told := c.Check(f)
				if told.Since.Before(last) {
					t.Errorf("after the version of %v came that of %v", last, told.Since)
				}
				last = told.Since
				s, err := c.Kept(f)
				if err != nil {
					t.Error(err)
					return
				}
				if text := string(s.Text); text != "0-1\n" && !slices.Contains(sets[1:], text) {
					t.Errorf("online is %q", text)
				}
				r.shim.pool.Release(s)
			}
		})
	}
	for i := range 500 {
		r.host.Write(effectiveCPUs, sets[i%len(sets)])
	}
	close(done)
	all.Wait()
	r.host.Write(effectiveCPUs, "2\n")
	if p := r.kept(staticOnline); p.text != "2\n" {
		t.Errorf("in the end online is %q", p.text)
	}
}

func TestStaticIllFiles(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v2-arm64"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, name)
			inputs := r.inputs()
			r.fs = newFilesystem(NewStatic(r.bound))
			r.fs.keep(able())
			for _, file := range r.files() {
				if !file.Static {
					continue
				}
				path := "c/" + file.Path
				for input, made := range inputs {
					if !slices.Contains(made, file.Path) {
						continue
					}
					for ail, ill := range ills() {
						r.renew()
						r.clock.add(time.Second)
						cure := r.ail(input, ill)
						told := r.stat(path)
						text, st := r.fill(path)
						if !st.Ok() && st != fuse.EIO || st.Ok() && (text == "" && !mayBeEmpty(file.Path) || uint64(len(text)) != told.size) {
							t.Errorf("%s, %s %s: %q, %v, told %+v", path, input, ail, text, st, told)
						}
						cure()
						r.clock.add(time.Second)
						r.kept(path)
					}
				}
			}
		})
	}
}
