// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"fmt"
	"log/slog"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// Numbers that kernels may remember: a row may come, none may change.
func TestNumbersStay(t *testing.T) {
	want := map[string]uint32{
		"proc": 2, "sys": 3, "sys/devices": 4, "sys/devices/system": 5, "sys/devices/system/cpu": 6,
		"proc/pressure": 7, "sys/devices/system/node": 8,
		"proc/cpuinfo": 16, "proc/meminfo": 17, "sys/devices/system/cpu/online": 18,
		"proc/stat": 19, "proc/uptime": 20, "proc/loadavg": 21, "proc/diskstats": 22, "proc/swaps": 23,
		"proc/slabinfo": 24, "proc/vmstat": 25, "proc/pressure/cpu": 26, "proc/pressure/memory": 27,
		"proc/pressure/io": 28, "proc/pressure/irq": 29, "sys/devices/system/cpu/offline": 30,
		"sys/devices/system/node/online": 31, "sys/devices/system/node/possible": 32, "sys/devices/system/node/has_cpu": 33,
		"sys/devices/system/node/has_memory": 34, "sys/devices/system/node/has_normal_memory": 35,
	}
	got := map[string]uint32{}
	seen := map[uint32]string{nodes.Top: "the top"}
	add := func(path string, number uint32) {
		if other, ok := seen[number]; ok {
			t.Errorf("%s and %s both have number %d", other, path, number)
		}
		seen[number], got[path] = path, number
	}
	for _, d := range source.Numbers() {
		add(d.Path, d.Number)
	}
	for _, f := range Files() {
		add(f.Path, f.Number)
		if f.Number < 16 {
			t.Errorf("%s has number %d, which is for directories", f.Path, f.Number)
		}
		if f.Summary == "" || f.Mode == 0 {
			t.Errorf("%s: the row is incomplete", f.Path)
		}
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if got[dir] == 0 {
				t.Errorf("%s: its directory %s has no number", f.Path, dir)
			}
		}
	}
	for path, number := range want {
		if got[path] != number {
			t.Errorf("%s has number %d, had %d", path, got[path], number)
		}
	}
	if nodes.Inode(0, nodes.Top) != fuse.FUSE_ROOT_ID {
		t.Errorf("the top of a tree is inode %d", nodes.Inode(0, nodes.Top))
	}
}

// list lists a directory, with room for some entries at a time.
func (r *rig) list(node uint64, room int) (names []string) {
	r.t.Helper()
	offset := uint64(0)
	for {
		out := fuse.NewDirEntryList(make([]byte, room), offset)
		in := fuse.ReadIn{InHeader: fuse.InHeader{NodeId: node}, Offset: offset}
		if st := r.fs.ReadDir(nil, &in, out); !st.Ok() {
			r.t.Fatal(st)
		}
		if out.Offset == offset {
			return names
		}
		for buf := out.Bytes(); len(buf) > 0; {
			var e fuse.DirEntry
			n := int(buf[16]) // struct fuse_dirent: ino, off, namelen, type, name
			e.Name = string(buf[24 : 24+n])
			names = append(names, e.Name)
			buf = buf[(24+n+7)/8*8:]
		}
		offset = out.Offset
	}
}

func TestReadDir(t *testing.T) {
	r := newRig(t, "debian12-v2")
	for i := range 20 {
		r.add(fmt.Sprintf("container-%d", i))
	}
	r.bound.Remove("container-7")
	for _, room := range []int{64, 200, 1 << 16} {
		names := r.list(fuse.FUSE_ROOT_ID, room)
		if len(names) != 2+1+19 || names[0] != "." || names[1] != ".." || names[2] != "c" || names[10] != "container-8" {
			t.Errorf("the top lists %v", names)
		}
		dir, st := r.lookup("c")
		if !st.Ok() {
			t.Fatal(st)
		}
		if got := fmt.Sprint(r.list(dir.NodeId, room)); got != "[. .. proc sys]" {
			t.Errorf("a view lists %s", got)
		}
		dir, _ = r.lookup("c/sys/devices/system/cpu")
		if got := fmt.Sprint(r.list(dir.NodeId, room)); got != "[. .. online offline kernel_max possible present]" {
			t.Errorf("cpu lists %s", got)
		}
	}
}

// An entry that goes during a listing hides no other.
func TestReadDirWhileRemoving(t *testing.T) {
	r := newRig(t, "debian12-v2")
	for i := range 5 {
		r.add(fmt.Sprintf("x%d", i))
	}
	out := fuse.NewDirEntryList(make([]byte, 32*5), 0) // ".", "..", c, x0, x1
	in := fuse.ReadIn{InHeader: fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}}
	if st := r.fs.ReadDir(nil, &in, out); !st.Ok() {
		t.Fatal(st)
	}
	r.bound.Remove("x1")
	r.bound.Remove("x2")
	in.Offset = out.Offset
	rest := fuse.NewDirEntryList(make([]byte, 1000), in.Offset)
	if st := r.fs.ReadDir(nil, &in, rest); !st.Ok() {
		t.Fatal(st)
	}
	if text := string(rest.Bytes()); !strings.Contains(text, "x3") || !strings.Contains(text, "x4") || strings.Contains(text, "x1") {
		t.Errorf("the rest of the listing is %q", text)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t, "debian12-v2")
	file, _ := r.lookup("c/proc/meminfo")
	dir, _ := r.lookup("c/proc")
	at := func(e fuse.EntryOut) fuse.InHeader { return fuse.InHeader{NodeId: e.NodeId} }
	nowhere := fuse.InHeader{NodeId: nodes.Inode(77, 17)}
	var entry fuse.EntryOut
	var attr fuse.AttrOut
	var open fuse.OpenOut
	inFile, inDir := at(file), at(dir)
	for name, test := range map[string]struct{ got, want fuse.Status }{
		"lookup of nothing":          {r.fs.Lookup(nil, &inDir, "nothing", &entry), fuse.ENOENT},
		"lookup below a file":        {r.fs.Lookup(nil, &inFile, "x", &entry), fuse.ENOTDIR},
		"lookup nowhere":             {r.fs.Lookup(nil, &nowhere, "x", &entry), fuse.Status(unix.ESTALE)},
		"stat nowhere":               {r.fs.GetAttr(nil, &fuse.GetAttrIn{InHeader: nowhere}, &attr), fuse.Status(unix.ESTALE)},
		"open a directory":           {r.fs.Open(nil, &fuse.OpenIn{InHeader: at(dir)}, &open), fuse.EISDIR},
		"open nowhere":               {r.fs.Open(nil, &fuse.OpenIn{InHeader: nowhere}, &open), fuse.Status(unix.ESTALE)},
		"open for writing":           {r.fs.Open(nil, &fuse.OpenIn{InHeader: at(file), Flags: unix.O_WRONLY}, &open), fuse.EROFS},
		"open for both":              {r.fs.Open(nil, &fuse.OpenIn{InHeader: at(file), Flags: unix.O_RDWR}, &open), fuse.EROFS},
		"truncate":                   {r.fs.Open(nil, &fuse.OpenIn{InHeader: at(file), Flags: unix.O_TRUNC}, &open), fuse.EROFS},
		"open a file as a directory": {r.fs.OpenDir(nil, &fuse.OpenIn{InHeader: at(file)}, &open), fuse.ENOTDIR},
		"chmod":                      {r.fs.SetAttr(nil, nil, nil), fuse.EROFS},
		"mknod":                      {r.fs.Mknod(nil, nil, "", nil), fuse.EROFS},
		"mkdir":                      {r.fs.Mkdir(nil, nil, "", nil), fuse.EROFS},
		"unlink":                     {r.fs.Unlink(nil, nil, ""), fuse.EROFS},
		"rmdir":                      {r.fs.Rmdir(nil, nil, ""), fuse.EROFS},
		"rename":                     {r.fs.Rename(nil, nil, "", ""), fuse.EROFS},
		"link":                       {r.fs.Link(nil, nil, "", nil), fuse.EROFS},
		"symlink":                    {r.fs.Symlink(nil, nil, "", "", nil), fuse.EROFS},
		"setxattr":                   {r.fs.SetXAttr(nil, nil, "", nil), fuse.EROFS},
		"removexattr":                {r.fs.RemoveXAttr(nil, nil, ""), fuse.EROFS},
		"create":                     {r.fs.Create(nil, nil, "", nil), fuse.EROFS},
		"tmpfile":                    {r.fs.Tmpfile(nil, nil, nil), fuse.EROFS},
		"fallocate":                  {r.fs.Fallocate(nil, nil), fuse.EROFS},
		"flush":                      {r.fs.Flush(nil, nil), fuse.ENOSYS},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	for name, write := range map[string]func() (uint32, fuse.Status){
		"write":           func() (uint32, fuse.Status) { return r.fs.Write(nil, nil, nil) },
		"writev":          func() (uint32, fuse.Status) { return r.fs.Writev(nil, nil, nil) },
		"copy_file_range": func() (uint32, fuse.Status) { return r.fs.CopyFileRange(nil, nil) },
	} {
		if n, st := write(); n != 0 || st != fuse.EROFS {
			t.Errorf("%s: %d, %v", name, n, st)
		}
	}
	// A read for the page cache has no lock owner.
	if _, st := r.fs.Read(nil, &fuse.ReadIn{InHeader: at(file), Size: 4096}, nil); st != fuse.EINVAL {
		t.Errorf("a read for the page cache: %v, want EINVAL", st)
	}
}

func TestSizes(t *testing.T) {
	r := newRig(t, "debian12-v2")
	entry, _ := r.lookup("c/proc/cpuinfo")
	if entry.Size != nominalSize() || uint64(entry.Blksize) != nominalSize() || entry.AttrTimeout() != nodeValid {
		t.Errorf("a short file has %d bytes, blocks of %d, for %v", entry.Size, entry.Blksize, entry.AttrTimeout())
	}
	// A host with so many CPUs that their text is long.
	block, _, _ := strings.Cut(r.host.Read("proc/cpuinfo"), "\n\n")
	_, rest, _ := strings.Cut(block, "\n")
	var many strings.Builder
	const cpus = 64
	for i := range cpus {
		fmt.Fprintf(&many, "processor\t: %d\n%s\n\n", i, rest)
	}
	r.host.Write("proc/cpuinfo", many.String())
	r.host.Write("sys/devices/system/cpu/online", "0-63\n")
	r.bound = NewBound(r.shim)
	r.fs = newFilesystem(r.bound)
	r.add("d")
	r.clock.add(2 * time.Second)
	entry, _ = r.lookup("d/proc/cpuinfo")
	if text := r.read("d/proc/cpuinfo"); entry.Size != uint64(len(text)) || entry.AttrTimeout() != boundSizeValid {
		t.Errorf("a long file has %d bytes for %v; its text has %d", entry.Size, entry.AttrTimeout(), len(text))
	}
	if entry, _ = r.lookup("d/proc/meminfo"); entry.Size != nominalSize() {
		t.Errorf("a short file beside it has %d bytes", entry.Size)
	}
}

// The shared tree keeps containers that are read, opens cgroups that were made
// anew under an old name, and closes the ones that are too many.
func TestSharedContainers(t *testing.T) {
	r := newRig(t, "debian12-v2")
	s := NewShared(r.shim, nil)
	row := texts.Text{File: fileAt(t, "proc/meminfo")}
	paths := func(path string) locate.Place {
		p, err := cgroupread.NewPaths(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return locate.Place{Cgroup: p}
	}
	total := func(path string) string {
		snap, _, err := s.render(row, paths(path))
		if err != nil {
			t.Fatal(err)
		}
		defer r.shim.pool.Release(snap)
		return field(t, string(snap.Text), "MemTotal")
	}
	r.host.Write(r.limitFile(), "104857600\n")
	if got := total(fixture.Container); got != "102400" {
		t.Errorf("MemTotal is %s", got)
	}
	r.host.Remove("sys/fs/cgroup" + fixture.Container)
	r.host.Write(r.limitFile(), "73400320\n")
	if got := total(fixture.Container); got != "71680" {
		t.Errorf("MemTotal is %s after the cgroup was made anew", got)
	}
	for i := range maxSharedContainers + 100 {
		name := fmt.Sprintf("/many/%d", i)
		r.host.Write("sys/fs/cgroup"+name+"/memory.max", "max\n")
		total(name)
	}
	if s.entries != maxSharedContainers {
		t.Errorf("%d containers are kept, want %d", s.entries, maxSharedContainers)
	}
	if got := total(fixture.Container); got != "71680" {
		t.Errorf("MemTotal is %s after the container was crowded out", got)
	}
	if _, _, err := s.render(row, paths("/no/such")); err == nil {
		t.Error("a cgroup that isn't there was read")
	}
	for _, all := range s.byPlace {
		for _, c := range all {
			s.drop(c)
		}
	}
}

// Cgroups that are the same in memory's hierarchy may differ elsewhere.
func TestSharedPlacesCollide(t *testing.T) {
	r := newRig(t, "debian12-hybrid")
	s := NewShared(r.shim, nil)
	var all []*shared
	for _, controllers := range []map[string]string{
		{"memory": fixture.Container, "cpu": fixture.Container, "cpuset": fixture.Container},
		{"memory": fixture.Container, "cpu": fixture.Sibling, "cpuset": fixture.Sibling},
	} {
		paths, err := cgroupread.NewPaths("/", controllers)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.acquire(locate.Place{Cgroup: paths})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if all[0] == all[1] {
		t.Fatal("two cgroups are one container")
	}
	for _, c := range all {
		if got := s.findLocked(c.place); got != c {
			t.Errorf("found another cgroup of the same key")
		}
		c.Release()
	}
	s.forget(all[0])
	if left := s.byPlace[keyOf(all[1].place)]; len(left) != 1 || left[0] != all[1] {
		t.Errorf("left over: %v", left)
	}
	s.forget(all[1])
	for _, c := range all {
		c.Release()
	}
}

func BenchmarkRender(b *testing.B) {
	host := fixture.Load(b, "debian12-v2")
	layout, err := cgroupread.Detect(host.Proc)
	if err != nil {
		b.Fatal(err)
	}
	h := NewHost(host.Proc, host.Sys, layout, time.Now, slog.New(slog.DiscardHandler))
	paths, err := layout.OfProcess(host.Proc, fixture.ContainerPID)
	if err != nil {
		b.Fatal(err)
	}
	cg, err := layout.Open(paths)
	if err != nil {
		b.Fatal(err)
	}
	c := texts.New(h.texts, Container{ID: "c", Cgroup: cg})
	table := h.Files()
	for i := range table {
		b.Run(strings.ReplaceAll(table[i].Path, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := c.Render(texts.Text{File: &table[i]})
				if err != nil {
					b.Fatal(err)
				}
				h.pool.Release(s)
			}
		})
		if !table[i].Static {
			continue
		}
		b.Run(strings.ReplaceAll(table[i].Path, "/", "_")+"_check", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Check(&table[i])
			}
		})
	}
}
