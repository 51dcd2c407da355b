// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// columns returns the numbers of stat's line "cpu".
func columns(t *testing.T, text string) (numbers []uint64) {
	t.Helper()
	line, _, _ := strings.Cut(text, "\n")
	for _, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// No column falls when the server is started anew, also if what the container had
// before can't be computed again: here the CPU quota was larger then.
func TestHistoriesOutliveTheServer(t *testing.T) {
	r := newRig(t, "debian12-v2-64cpu")
	r.host.Write("proc/sys/kernel/random/boot_id", "one boot\n")
	r.host.Write("proc/1000/stat", "1000 (init) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n")
	dir := filepath.Join(t.TempDir(), "cpu")
	serve := func() {
		r.shim = NewHost(r.host.Proc, r.host.Sys, r.layout, r.clock.Now, slog.New(slog.NewTextHandler(r.log, nil)), BootClock(r.clock.Boot), Histories(dir))
		t.Cleanup(func() { _ = r.shim.Close() })
		r.bound = NewBound(r.shim)
		r.fs = newFilesystem(r.bound)
		paths, err := r.layout.OfProcess(r.host.Proc, fixture.ContainerPID)
		if err != nil {
			t.Fatal(err)
		}
		cg, err := r.layout.Open(paths)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.bound.Add(Container{ID: "kept", Cgroup: cg, Init: locate.Init{PID: 1000, Start: time.Second}}); err != nil {
			t.Fatal(err)
		}
	}
	serve()
	quota := "sys/fs/cgroup" + fixture.Container + "/cpu.max"
	r.host.Write(quota, "max 100000\n")
	before := columns(t, r.read("kept/proc/stat"))
	r.host.Write(quota, "100000 100000\n")
	r.clock.add(time.Second)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Fatalf("kept are %v, %v", files, err)
	}
	serve() // the first server is as good as killed: nothing was closed
	after := columns(t, r.read("kept/proc/stat"))
	for i := range before {
		if after[i] < before[i] {
			t.Errorf("column %d fell from %d to %d", i, before[i], after[i])
		}
	}
	if lines := strings.Join(r.log.lines(), ""); lines != "" {
		t.Errorf("logged %s", lines)
	}
	// With its init process gone, nothing need be kept.
	r.host.Remove("proc/1000/stat")
	r.bound.Remove("kept")
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left over are %v, %v", files, err)
	}
}

// A directory that can't be used is no reason not to serve.
func TestNoHistories(t *testing.T) {
	r := newRig(t, "debian12-v2")
	log := &logBuffer{}
	h := NewHost(r.host.Proc, r.host.Sys, r.layout, r.clock.Now, slog.New(slog.NewTextHandler(log, nil)), Histories(filepath.Join(t.TempDir(), "no", "such")))
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if lines := strings.Join(log.lines(), "\n"); !strings.Contains(lines, "may fall") {
		t.Errorf("logged %s", lines)
	}
}

// In the shared tree a container is a cgroup and an init process: another init in
// the same cgroup has CPU times of its own.
func TestSharedByInit(t *testing.T) {
	r := newRig(t, "debian12-v2")
	const start = "proc/%/stat"
	for pid, ticks := range map[string]string{"1000": "100", "1001": "300000"} {
		r.host.Write(strings.Replace(start, "%", pid, 1), pid+" (init) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 "+ticks+" 0 0\n")
		r.host.Write("proc/"+pid+"/ns/pid", "")
	}
	s := NewShared(r.shim, locate.New(r.host.Proc, r.layout))
	paths, err := r.layout.OfProcess(r.host.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(init int) (ticks uint64) {
		snap, c, err := s.render(texts.Text{File: fileAt(t, "proc/stat")}, locate.Place{Cgroup: paths, Init: init})
		if err != nil {
			t.Fatal(err)
		}
		defer r.shim.pool.Release(snap)
		if c.Init.PID != init {
			t.Errorf("the container of init %d has %+v", init, c.Init)
		}
		for _, n := range columns(t, string(snap.Text)) {
			ticks += n
		}
		return ticks
	}
	if old, young := sum(1000), sum(1001); old <= young {
		t.Errorf("since 1 s after the boot there were %d ticks, since 3000 s %d", old, young)
	}
	if s.entries != 2 {
		t.Errorf("%d containers are kept", s.entries)
	}
	for _, all := range s.byPlace {
		for _, c := range all {
			s.drop(c)
		}
	}
}

// The host to all readers, and back.
func TestShowHost(t *testing.T) {
	r := newRig(t, "debian12-v2")
	s := NewShared(r.shim, locate.New(r.host.Proc, r.layout))
	s.ShowHost(true)
	for _, f := range r.files() {
		snap, c, err := s.show(fileAt(t, f.Path), 0)
		if err != nil || c != nil || string(snap.Text) != r.host.Read(f.Path) {
			t.Errorf("%s: %+v, %v", f.Path, snap, err)
			continue
		}
		r.shim.pool.Release(snap)
	}
	if err := s.shows(0, 0, r.shim.sources.Directories()[1], func(shown func(*nodes.Node) bool) error {
		if !shown(nil) {
			t.Error("not everything is shown")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	s.ShowHost(false)
	if _, _, err := s.show(fileAt(t, "proc/meminfo"), 0); err == nil {
		t.Error("a reader that isn't visible is shown something")
	}
}
