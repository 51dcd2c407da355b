// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A bench is a captured host whose clock stands until it is moved, and its
// container.
type bench struct {
	t      testing.TB
	host   *fixture.Host
	layout *cgroupread.Layout
	shim   *Host
	up     time.Duration // the boot clock
	cg     *cgroupread.Cgroup
}

func newBench(t testing.TB, name string) *bench {
	t.Helper()
	b := &bench{t: t, host: fixture.Load(t, name), up: 1000 * time.Second}
	var err error
	if b.layout, err = cgroupread.Detect(b.host.Proc); err != nil {
		t.Fatal(err)
	}
	b.shim = NewHost(Config{
		Proc: b.host.Proc, Sys: b.host.Sys, Layout: b.layout, Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.Unix(1_000_000, 0).Add(b.up) },
		Boot:  func() time.Duration { return b.up },
	})
	t.Cleanup(func() {
		if err := b.shim.Close(); err != nil {
			t.Error(err)
		}
	})
	paths, err := b.layout.OfProcess(b.host.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	b.cg = b.open(paths)
	return b
}

func (b *bench) open(paths cgroupread.Paths) *cgroupread.Cgroup {
	b.t.Helper()
	cg, err := b.layout.Open(paths)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cg.Close() })
	return cg
}

// container is the captured one, with an init process that began after 400 s.
func (b *bench) container() *Container {
	return b.shim.Container("c", b.cg, locate.Init{PID: fixture.ContainerPID, Start: 400 * time.Second})
}

// text is what a container is shown.
func (b *bench) text(c *Container, path string, p view.Policy) string {
	b.t.Helper()
	text, err := c.Append(nil, b.file(path), How{Policy: p})
	if err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

func (b *bench) file(path string) *File {
	b.t.Helper()
	for _, f := range Files() {
		if f.Path == path {
			return &f
		}
	}
	b.t.Fatalf("no file %s", path)
	return nil
}

// has says whether the captured host has a file.
func (b *bench) has(path string) bool {
	_, err := os.Stat(b.host.Path(path))
	return err == nil
}

func eachHost(t *testing.T, test func(t *testing.T, b *bench)) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) { test(t, newBench(t, name)) })
	}
}

// In the root cgroup, every file is the host's own.
func TestRootIsHost(t *testing.T) {
	eachHost(t, func(t *testing.T, b *bench) {
		paths, err := b.layout.OfDir("/")
		if err != nil {
			t.Fatal(err)
		}
		root := b.shim.Container("root", b.open(paths), locate.Init{})
		for _, f := range Files() {
			if !b.has(f.Path) || f.Path == "sys/devices/system/cpu/offline" {
				continue
			}
			if got, want := b.text(root, f.Path, view.Policy{}), b.host.Read(f.Path); got != want {
				t.Errorf("%s:\n%s\nwant the host's:\n%s", f.Path, got, want)
			}
		}
	})
}

func TestUptime(t *testing.T) {
	eachHost(t, func(t *testing.T, b *bench) {
		host := b.host.Read("proc/uptime")
		hostUp, _, _ := strings.Cut(host, " ")
		for _, test := range []struct {
			name   string
			init   locate.Init
			policy view.Policy
			want   string
		}{
			{"since init's start", locate.Init{PID: 9, Start: 400 * time.Second}, view.Policy{}, "600.00"},
			{"by policy the host's", locate.Init{PID: 9, Start: 400 * time.Second}, view.Policy{Uptime: view.WhoseHost}, hostUp},
			{"in a time namespace", locate.Init{PID: 9, Start: 400 * time.Second, BootOffset: -399 * time.Second}, view.Policy{}, "601.00"},
			{"in a time namespace, by policy the host's", locate.Init{PID: 9, BootOffset: -5 * time.Second}, view.Policy{Uptime: view.WhoseHost}, "995.00"},
			{"in the host's PID namespace", locate.Init{PID: 9, Start: 400 * time.Second, HostPID: true}, view.Policy{}, hostUp},
			{"nothing known", locate.Init{}, view.Policy{}, hostUp},
			{"with the host's CPUs", locate.Init{PID: 9, Start: 400 * time.Second}, view.Policy{CPUView: view.CPUViewHost}, "600.00"},
			{"a clock before the start", locate.Init{PID: 9, Start: 4000 * time.Second}, view.Policy{}, "0.00"},
		} {
			c := b.shim.Container(test.name, b.cg, test.init)
			got := b.text(c, "proc/uptime", test.policy)
			if up, idle, ok := strings.Cut(strings.TrimSpace(got), " "); up != test.want || !ok || idle == "" {
				t.Errorf("%s: %q, want %s", test.name, got, test.want)
			}
		}
	})
}

// fields returns the numbers of the line of /proc/stat with this label.
func fields(t *testing.T, text, label string) (numbers []uint64) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != label {
			continue
		}
		for _, one := range f[1:] {
			n, err := strconv.ParseUint(one, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		return numbers
	}
	return nil
}

// stat's CPUs are those of online, its time is that since init's start, and
// uptime's idle time is its idle column.
func TestStat(t *testing.T) {
	eachHost(t, func(t *testing.T, b *bench) {
		c := b.container()
		for range 3 {
			text := b.text(c, "proc/stat", view.Policy{})
			online := strings.TrimSpace(b.text(c, "sys/devices/system/cpu/online", view.Policy{}))
			cpus := strings.Count(text, "\ncpu")
			if cpus == 1 && strings.ContainsAny(online, ",-") || cpus == 0 {
				t.Errorf("%d CPUs, online is %s", cpus, online)
			}
			var sum uint64
			all := fields(t, text, "cpu")
			for _, n := range all {
				sum += n
			}
			want := uint64((b.up-400*time.Second).Seconds()*100) * uint64(cpus)
			if sum > want || sum+10*uint64(cpus) < want {
				t.Errorf("cpu adds up to %d ticks, want %d: %v", sum, want, all)
			}
			_, idle, _ := strings.Cut(strings.TrimSpace(b.text(c, "proc/uptime", view.Policy{})), " ")
			if got := strings.ReplaceAll(idle, ".", ""); strings.TrimLeft(got, "0") != strings.TrimLeft(strconv.FormatUint(all[3], 10), "0") {
				t.Errorf("uptime's idle is %s, stat's %d ticks", idle, all[3])
			}
			b.up += 10 * time.Second
		}
		if got := b.text(c, "proc/stat", view.Policy{CPUView: view.CPUViewHost}); got != b.host.Read("proc/stat") {
			t.Errorf("with the CPU view of the host: %s", got)
		}
	})
}

// btime moves with the time namespace, as the kernel's does.
func TestBootTime(t *testing.T) {
	b := newBench(t, "debian12-v2")
	host := fields(t, b.host.Read("proc/stat"), "btime")[0]
	c := b.shim.Container("c", b.cg, locate.Init{PID: 9, Start: 400 * time.Second, BootOffset: -400 * time.Second})
	if got := fields(t, b.text(c, "proc/stat", view.Policy{}), "btime")[0]; got != host+400 {
		t.Errorf("btime is %d, the host's %d", got, host)
	}
}

func TestLoadavgByPolicy(t *testing.T) {
	b := newBench(t, "debian12-hybrid")
	c := b.container()
	if got := b.text(c, "proc/loadavg", view.Policy{Loadavg: view.WhoseHost}); got != b.host.Read("proc/loadavg") {
		t.Errorf("the host's is %q", got)
	}
	if got := b.text(c, "proc/loadavg", view.Policy{}); len(strings.Fields(got)) != 5 || got == b.host.Read("proc/loadavg") {
		t.Errorf("the container's is %q", got)
	}
}

// The two lists part the possible CPUs.
func TestOffline(t *testing.T) {
	eachHost(t, func(t *testing.T, b *bench) {
		c := b.container()
		for _, p := range []view.Policy{{}, {CPUView: view.CPUViewCPUSet}, {Numbering: view.NumberingContiguous}} {
			sets := map[string]string{}
			for _, name := range []string{"online", "offline"} {
				sets[name] = strings.TrimSpace(b.text(c, "sys/devices/system/cpu/"+name, p))
			}
			if sets["online"] == "" || sets["online"] == sets["offline"] {
				t.Errorf("%+v: %v", p, sets)
			}
		}
	})
}

func TestPressure(t *testing.T) {
	b := newBench(t, "debian12-v2")
	const host = "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"
	b.host.Write("proc/pressure/memory", host)
	c := b.container()
	if got := b.text(c, "proc/pressure/memory", view.Policy{}); strings.Contains(got, "1.00") || len(strings.Fields(got)) != len(strings.Fields(host)) {
		t.Errorf("without a file of the cgroup: %q", got)
	}
	own := strings.ReplaceAll(host, "total=4", "total=99")
	b.host.Write("sys/fs/cgroup"+fixture.Container+"/memory.pressure", own)
	if got := b.text(c, "proc/pressure/memory", view.Policy{}); got != own {
		t.Errorf("the cgroup's own: %q", got)
	}
	b.host.Write("sys/fs/cgroup"+fixture.Container+"/memory.pressure", "nonsense\n")
	if _, err := c.Append(nil, b.file("proc/pressure/memory"), How{}); err == nil {
		t.Error("nonsense was shown")
	}
}

// A record names each file that was read, with its text.
func TestRecord(t *testing.T) {
	eachHost(t, func(t *testing.T, b *bench) {
		c := b.container()
		var r Record
		for _, f := range Files() {
			if !b.has(f.Path) {
				continue
			}
			r.Reset()
			if _, err := c.Append(nil, &f, How{Record: &r}); err != nil {
				t.Fatal(err)
			}
			count := 0
			r.Each(func(path string, text []byte) {
				count++
				if text != nil && string(text) != b.host.Read(strings.TrimPrefix(path, b.host.Root)) {
					t.Errorf("%s: %s is recorded as %q", f.Path, path, text)
				}
			})
			if count == 0 || r.Size() == 0 {
				t.Errorf("%s: %d files are recorded, of %d bytes", f.Path, count, r.Size())
			}
		}
	})
}

// The files of NUMA nodes: those that the container may have memory on.
func TestNodes(t *testing.T) {
	b := newBench(t, "debian12-v2-64cpu")
	c := b.container()
	var dir *Directory
	for _, d := range b.shim.Directories() {
		if d.Own {
			dir = d
		}
	}
	mems := "sys/fs/cgroup" + fixture.Container + "/cpuset.mems.effective"
	for _, test := range []struct{ mems, online, hidden string }{
		{"0-1\n", "0-1\n", ""}, {"1\n", "1\n", "node0"}, {"0\n", "0\n", "node1"}, {"0,7\n", "0\n", "node1"}, {"7\n", "0-1\n", ""},
	} {
		b.host.Write(mems, test.mems)
		b.up += time.Second
		if got := b.text(c, "sys/devices/system/node/online", view.Policy{}); got != test.online {
			t.Errorf("mems %q: online is %q", test.mems, got)
		}
		shows, err := dir.Shows(c)
		if err != nil {
			t.Fatal(err)
		}
		list, err := dir.List(nil)
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		for i := range list {
			if shown := shows(&list[i]); shown == (list[i].Name == test.hidden) {
				t.Errorf("mems %q: %s is shown: %t", test.mems, list[i].Name, shown)
			}
			files, err := dir.List(&list[i])
			if err != nil || len(files) < 5 {
				t.Fatalf("%v, %v", files, err)
			}
			for k := range files {
				text, err := c.Append(nil, dir.File(&files[k]), How{})
				if hidden := list[i].Name == test.hidden; hidden != errors.Is(err, fs.ErrNotExist) || !hidden && len(text) == 0 {
					t.Errorf("mems %q: %s: %q, %v", test.mems, files[k].Path, text, err)
				}
			}
		}
	}
}

// What the host doesn't have, or can't be understood, is an error of the host.
func TestHostErrors(t *testing.T) {
	for _, path := range []string{"proc/stat", "proc/vmstat", "proc/diskstats", "proc/swaps", "proc/meminfo", "sys/devices/system/cpu/possible"} {
		b := newBench(t, "debian12-v2")
		file := path
		if strings.HasSuffix(path, "possible") {
			file = "sys/devices/system/cpu/offline"
		}
		b.host.Write(path, "nonsense\n")
		if _, err := b.container().Append(nil, b.file(file), How{}); !errors.Is(err, hostread.ErrUnreadable) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Once warm, a text costs no memory. Reading the host's files does, each 10 ms:
// the clock stands here.
func TestAllocatesNothingWarm(t *testing.T) {
	b := newBench(t, "debian12-v2")
	c := b.container()
	dst := make([]byte, 0, 64<<10)
	var r Record
	for _, f := range Files() {
		if !b.has(f.Path) || f.Path == "proc/meminfo" || f.Path == "proc/vmstat" { // which read huge pages of three sizes
			continue
		}
		once := func() {
			r.Reset()
			if _, err := c.Append(dst, &f, How{Record: &r}); err != nil {
				t.Fatal(err)
			}
		}
		once()
		if n := testing.AllocsPerRun(20, once); n >= 1 && !raced {
			t.Errorf("%s: %g allocations", f.Path, n)
		}
	}
}
