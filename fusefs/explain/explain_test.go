// SPDX-License-Identifier: Apache-2.0

package explain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/explain"
	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

var update = flag.Bool("update", false, "write the golden files anew")

// roots are those of a captured host whose files' paths were taken off its root.
var roots = explain.Roots{Proc: "/proc", Sys: "/sys"}

var epoch = time.Unix(1_800_000_000, 0)

// materials are the files of a captured host's container, by path, each with what
// it was made from.
func materials(t *testing.T, h *fixture.Host, p view.Policy) map[string]*explain.Material {
	t.Helper()
	layout, err := cgroupread.Detect(h.Proc)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := layout.OfProcess(h.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	cg, err := layout.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	host := source.NewHost(source.Config{
		Proc: h.Proc, Sys: h.Sys, Layout: layout, Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return epoch }, Boot: func() time.Duration { return 1000 * time.Second },
	})
	c := host.Container("c", cg, locate.Init{PID: fixture.ContainerPID, Start: 900 * time.Second})
	defer func() {
		if err := errors.Join(c.Close(), host.Close(), cg.Close()); err != nil {
			t.Error(err)
		}
	}()
	all := map[string]*explain.Material{}
	for _, f := range source.Files() {
		var r source.Record
		text, err := c.Append(nil, &f, source.How{Policy: p, Record: &r})
		if err != nil {
			continue // a file that wasn't captured
		}
		m := &explain.Material{
			Snapshot: 1_800_000_000_000_000_000, At: epoch, File: f.Path, Text: text, Policy: p,
			Init: explain.Init{PID: r.Init.PID, Start: r.Init.Start},
		}
		r.Each(func(path string, text []byte) {
			m.Inputs = append(m.Inputs, explain.Input{Path: strings.TrimPrefix(path, h.Root), Text: slices.Clone(text)})
		})
		all[f.Path] = m
	}
	return all
}

// of explains a file as the command does.
func of(h *fixture.Host, m *explain.Material) *explain.Explanation {
	text, ok := m.HostText(roots)
	if !ok {
		text, _ = os.ReadFile(h.Path(m.File)) // nil: the host has none
	}
	e := explain.Of(m, text, roots)
	e.Container, e.Cgroup = "web", fixture.Container
	return e
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: go test ./fusefs/explain -update, and look at the difference; got\n%s", path, got)
	}
}

func TestGolden(t *testing.T) {
	for _, host := range []string{"debian12-v2", "debian12-hybrid"} {
		h := fixture.Load(t, host)
		if host == "debian12-v2" {
			h.Write("sys/fs/cgroup/procfs-shim-fixture/container/cpuset.cpus.effective", "0-1\n")
		} else {
			h.Write("sys/fs/cgroup/cpuset/procfs-shim-fixture/container/cpuset.effective_cpus", "0-1\n")
		}
		all := materials(t, h, view.Policy{})
		var out bytes.Buffer
		for _, path := range []string{"proc/meminfo", "proc/stat", "proc/cpuinfo", "proc/uptime", "proc/loadavg", "proc/swaps", "proc/diskstats", "sys/devices/system/cpu/online"} {
			if err := of(h, all[path]).WriteTable(&out, "as built in"); err != nil {
				t.Fatal(err)
			}
			out.WriteString("\n")
		}
		golden(t, host+".tables", out.Bytes())
		out.Reset()
		for _, one := range []struct{ path, field string }{
			{"proc/meminfo", "MemTotal"},
			{"proc/meminfo", "MemFree"},
			{"proc/meminfo", "AnonPages"},
			{"proc/meminfo", "SwapFree"},
			{"proc/meminfo", "Buffers"},
			{"proc/cpuinfo", "cpu1 siblings"},
			{"proc/stat", "cpu1 steal"},
			{"proc/stat", "btime"},
			{"proc/vmstat", "nr_free_pages"},
			{"proc/uptime", "idle"},
			{"sys/devices/system/cpu/online", "online"},
		} {
			e := of(h, all[one.path])
			f, near := e.Find(one.field)
			if f == nil {
				t.Errorf("%s: no field %s, but %v", one.path, one.field, near)
				continue
			}
			if err := e.WriteField(&out, "as built in", f); err != nil {
				t.Fatal(err)
			}
			out.WriteString("\n")
		}
		golden(t, host+".fields", out.Bytes())
	}
}

// Every field of every file of all captured hosts is explained: what is shown is
// what the file says, and what is made of something has sources.
func TestEveryField(t *testing.T) {
	for _, host := range fixture.Names(t) {
		h := fixture.Load(t, host)
		for _, p := range []view.Policy{{}, {CPUView: view.CPUViewHost, HostCounters: true, Loadavg: view.WhoseHost, Uptime: view.WhoseHost}} {
			for path, m := range materials(t, h, p) {
				e := of(h, m)
				fields := formats.Split(path, string(m.Text))
				if len(e.Fields) != len(fields) {
					t.Fatalf("%s: %s: %d fields are explained of %d", host, path, len(e.Fields), len(fields))
				}
				for i, f := range e.Fields {
					if f.Name != fields[i].Name || f.Shown != fields[i].Value {
						t.Errorf("%s: %s: %+v is explained as %+v", host, path, fields[i], f)
					}
					if needs := f.Kind != formats.Constant && f.Kind != formats.Invented; needs && len(f.Sources) == 0 && f.Formula == "" {
						t.Errorf("%s: %s: %s, %s, has no source", host, path, f.Name, f.Kind)
					}
					if f.Kind == formats.Host && f.Host != f.Shown && path != "sys/devices/system/cpu/online" {
						t.Errorf("%s: %s: %s is the host's, but %q is shown for %q", host, path, f.Name, f.Shown, f.Host)
					}
				}
			}
		}
	}
}

// The level with the smallest limit binds, in all that it bounds; the host where
// that has less.
func TestBinds(t *testing.T) {
	const base, container = "/sys/fs/cgroup/procfs-shim-fixture", "/sys/fs/cgroup/procfs-shim-fixture/container"
	for _, c := range []struct {
		name, file, text string
		path, field      string
		want             string // the file that binds
	}{
		{"the container's limit", "container/memory.max", "100000000\n", "proc/meminfo", "MemTotal", container + "/memory.max"},
		{"the parent's limit", "memory.max", "100000000\n", "proc/meminfo", "MemTotal", base + "/memory.max"},
		{"the parent is nearly full", "memory.current", "530000000\n", "proc/meminfo", "MemFree", base + "/memory.max"},
		{"no limit", "container/memory.max", "max\n", "proc/meminfo", "MemTotal", base + "/memory.max"},
		{"the parent's quota", "container/cpu.max", "max 100000\n", "sys/devices/system/cpu/online", "online", base + "/cpu.max quota"},
		{"the container's quota", "container/cpu.max", "100000 100000\n", "sys/devices/system/cpu/online", "online", container + "/cpu.max quota"},
		{"a shorter period", "container/cpu.max", "50000 20000\n", "sys/devices/system/cpu/online", "online", base + "/cpu.max quota"},
		{"of another file", "container/memory.max", "100000000\n", "proc/vmstat", "nr_free_pages", container + "/memory.max"},
		{"swap", "container/memory.swap.max", "1000000\n", "proc/meminfo", "SwapTotal", container + "/memory.swap.max"},
	} {
		h := fixture.Load(t, "debian12-v2")
		h.Write("sys/fs/cgroup/procfs-shim-fixture/"+c.file, c.text)
		h.Write("sys/fs/cgroup/procfs-shim-fixture/container/cpuset.cpus.effective", "0-3\n")
		e := of(h, materials(t, h, view.Policy{})[c.path])
		f, _ := e.Find(c.field)
		var binding []string
		for _, s := range f.Sources {
			if s.Binds && (strings.HasSuffix(s.Field, ".max") || s.Field == "quota") {
				at := s.Path
				if s.Field == "quota" {
					at += " quota"
				}
				binding = append(binding, at)
			}
		}
		if c.name == "swap" {
			binding = slices.DeleteFunc(binding, func(s string) bool { return !strings.Contains(s, "swap") })
		}
		if len(binding) != 1 || binding[0] != c.want {
			t.Errorf("%s: %v binds, not %s", c.name, binding, c.want)
		}
	}
	h := fixture.Load(t, "debian12-v2")
	h.Write("sys/fs/cgroup/procfs-shim-fixture/memory.max", "max\n")
	h.Write("sys/fs/cgroup/procfs-shim-fixture/container/memory.max", "max\n")
	f, _ := of(h, materials(t, h, view.Policy{})["proc/meminfo"]).Find("MemTotal")
	if i := slices.IndexFunc(f.Sources, func(s explain.Source) bool { return s.Binds }); i < 0 || f.Sources[i].Path != "/proc/meminfo" {
		t.Errorf("without a limit: %+v", f.Sources)
	}
}

func TestNotes(t *testing.T) {
	contains := func(e *explain.Explanation, words string) bool {
		return slices.ContainsFunc(e.Notes, func(n string) bool { return strings.Contains(n, words) })
	}
	quotas := func(text string) map[string]*explain.Material {
		h := fixture.Load(t, "debian12-v2")
		h.Write("sys/fs/cgroup/procfs-shim-fixture/container/cpu.max", text)
		h.Write("sys/fs/cgroup/procfs-shim-fixture/container/cpuset.cpus.effective", "0-1\n")
		return materials(t, h, view.Policy{})
	}
	const getcpu = "getcpu(2)"
	for _, path := range []string{"proc/cpuinfo", "proc/stat", "sys/devices/system/cpu/online", "sys/devices/system/cpu/offline"} {
		if e := explain.Of(quotas("100000 100000\n")[path], nil, roots); !contains(e, getcpu) || !contains(e, "0-1") {
			t.Errorf("%s: a quota that binds isn't spoken of: %q", path, e.Notes)
		}
		if e := explain.Of(quotas("200000 100000\n")[path], nil, roots); contains(e, getcpu) {
			t.Errorf("%s: a quota that doesn't bind is spoken of: %q", path, e.Notes)
		}
	}
	if e := explain.Of(quotas("100000 100000\n")["proc/meminfo"], nil, roots); contains(e, getcpu) {
		t.Errorf("meminfo speaks of quotas: %q", e.Notes)
	}
	hostV1 := fixture.Load(t, "debian12-v1")
	v1 := materials(t, hostV1, view.Policy{})
	if e := explain.Of(v1["proc/diskstats"], nil, roots); len(e.Fields) > 0 || !contains(e, "did no I/O") {
		t.Errorf("a container without I/O: %q", e.Notes)
	}
	for _, name := range []string{"io_serviced_recursive", "io_service_bytes_recursive"} {
		hostV1.Write("sys/fs/cgroup/blkio/procfs-shim-fixture/container/blkio.throttle."+name, "Total 0\n")
	}
	if e := explain.Of(materials(t, hostV1, view.Policy{})["proc/diskstats"], nil, roots); !contains(e, "blkio.throttle") {
		t.Errorf("v1 that counts nothing: %q", e.Notes)
	}
	if e := explain.Of(v1["proc/uptime"], nil, roots); !contains(e, "ps(1)") {
		t.Errorf("uptime without a time namespace: %q", e.Notes)
	}
}

// Of two devices each is explained by its own numbers.
func TestDevices(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	h.Write("sys/fs/cgroup/procfs-shim-fixture/container/io.stat", "254:0 rbytes=512 rios=1\n254:16 rbytes=1024 rios=2\n")
	e := of(h, materials(t, h, view.Policy{})["proc/diskstats"])
	for field, want := range map[string]string{"vda reads": "1", "vdb reads": "2", "vda sectors read": "512"} {
		f, _ := e.Find(field)
		if f == nil || len(f.Sources) != 1 || f.Sources[0].Value != want {
			t.Errorf("%s: %+v", field, f)
		}
	}
}

func TestHostsOwn(t *testing.T) {
	m := &explain.Material{File: "proc/meminfo", Text: []byte("MemTotal:       1 kB\n"), Instead: true}
	if e := explain.Of(m, m.Text, roots); e.HostsOwn == "" || e.Fields[0].Kind != formats.Host || e.Fields[0].Host != "1 kB" {
		t.Errorf("%+v", e)
	}
	m = &explain.Material{File: "proc/loadavg", Text: []byte("0.00 0.00 0.00 1/2 3\n"), Policy: view.Policy{Loadavg: view.WhoseHost}}
	if e := explain.Of(m, nil, roots); !strings.Contains(e.HostsOwn, "loadavg=host") {
		t.Errorf("%+v", e)
	}
	m = &explain.Material{File: "proc/meminfo", Text: []byte("MemTotal:       1 kB\n"), Inputs: []explain.Input{{Path: "/proc/meminfo", Text: []byte("MemTotal:       1 kB\n")}}}
	if e := explain.Of(m, nil, roots); !strings.Contains(e.HostsOwn, "root cgroup") {
		t.Errorf("%+v", e)
	}
}

func TestWrite(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	all := materials(t, h, view.Policy{})
	for _, c := range []struct {
		path, field string
		json        bool
		says, fails string
	}{
		{"proc/meminfo", "", false, "FIELD", ""},
		{"proc/meminfo", "MemTotal", false, "← binds", ""},
		{"proc/meminfo", "MemTotal", true, `"field": "MemTotal"`, ""},
		{"proc/meminfo", "memtotal", false, "", "near: MemTotal"},
		{"proc/meminfo", "nothing", false, "", "there are: MemTotal"},
		{"proc/cpuinfo", "cpu0 flags", false, "", "isn't shown it"},
	} {
		var out bytes.Buffer
		err := of(h, all[c.path]).Write(&out, c.field, "as built in", c.json)
		if c.fails == "" && (err != nil || !strings.Contains(out.String(), c.says)) || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s %q: %v\n%s", c.path, c.field, err, out.String())
		}
	}
	if err := (&explain.Explanation{File: "/proc/diskstats"}).Write(&bytes.Buffer{}, "vda reads", "", false); err == nil || !strings.Contains(err.Error(), "empty file") {
		t.Errorf("a field of an empty file: %v", err)
	}
}

// What goes over the control socket comes back the same.
func TestMaterialAsJSON(t *testing.T) {
	for path, m := range materials(t, fixture.Load(t, "debian12-hybrid"), view.Policy{Swap: view.SwapNone}) {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back explain.Material
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		h := fixture.Load(t, "debian12-hybrid")
		var a, b bytes.Buffer
		if err := errors.Join(of(h, m).WriteJSON(&a), of(h, &back).WriteJSON(&b)); err != nil || a.String() != b.String() {
			t.Errorf("%s: %v, \n%s\n%s", path, err, a.String(), b.String())
		}
	}
}

// Any text and any inputs give an explanation.
func FuzzOf(f *testing.F) {
	f.Add("proc/meminfo", "MemTotal:  1 kB\n", "/sys/fs/cgroup/a/b/memory.max", "max\n", "MemTotal:  2 kB\n")
	f.Add("proc/stat", "cpu  1 2 3 4\n", "/sys/fs/cgroup/cpu.max", "1 0\n", "")
	f.Add("proc/diskstats", "", "/x/blkio.throttle.io_serviced", "Total 0\n", "8 0 sda 1\n")
	f.Add("proc/cpuinfo", "processor : 0\n\n", "/proc/cpuinfo", "processor : 0\n\n", "x")
	f.Fuzz(func(t *testing.T, file, text, path, input, host string) {
		m := &explain.Material{File: file, Text: []byte(text), Inputs: []explain.Input{{Path: path, Text: []byte(input)}, {Path: path + "/x"}}}
		e := explain.Of(m, []byte(host), roots)
		var out bytes.Buffer
		if err := errors.Join(e.WriteTable(&out, ""), e.WriteJSON(&out)); err != nil {
			t.Fatal(err)
		}
		for i := range e.Fields {
			if err := e.WriteField(&out, "", &e.Fields[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
}
