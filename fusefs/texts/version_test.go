// SPDX-License-Identifier: Apache-2.0

package texts

import (
	"log/slog"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

const effectiveCPUs = "sys/fs/cgroup" + fixture.Container + "/cpuset.cpus.effective"

// rig is the container of a captured host.
func rig(t *testing.T) (*fixture.Host, *Texts) {
	t.Helper()
	host := fixture.Load(t, "debian12-v2")
	layout, err := cgroupread.Detect(host.Proc)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{
		Sources: source.NewHost(source.Config{
			Proc: host.Proc, Sys: host.Sys, Layout: layout, Clock: time.Now, Boot: hostread.BootClock, Log: slog.New(slog.DiscardHandler),
		}),
		Pool: &snapshot.Pool{Records: func() snapshot.Record { return &source.Record{} }},
		Now:  time.Now, Log: slog.New(slog.DiscardHandler),
	}
	paths, err := layout.OfProcess(host.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	cg, err := layout.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	texts := New(h, Container{ID: "c", Cgroup: cg})
	t.Cleanup(func() {
		texts.Release()
		if err := h.Sources.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, texts
}

// online is the row of cpu/online.
func online(t *testing.T) *source.File {
	t.Helper()
	for _, f := range source.Files() {
		if f.Path == hostread.Online {
			return &f
		}
	}
	t.Fatal("the table has no cpu/online")
	return nil
}

// Looks that end in another order than they began don't bring an old text back.
func TestLooksOvertake(t *testing.T) {
	host, c := rig(t)
	f := online(t)
	inForce := func(want string) {
		t.Helper()
		s, err := c.Kept(f)
		if err != nil || string(s.Text) != want {
			t.Errorf("in force is %q, %v; want %q", s.Text, err, want)
		}
		c.host.Pool.Release(s)
	}
	settle := func(v version, known bool) bool {
		t.Helper()
		_, ok := c.settle(&v, known)
		return ok
	}
	c.Check(f)
	same, known := c.look(f)
	if !known {
		t.Error("the same text isn't known")
	}
	host.Write(effectiveCPUs, "2\n")
	late, known := c.look(f)
	if known {
		t.Error("another text is known")
	}
	host.Write(effectiveCPUs, "1\n")
	before := c.Check(f)
	if !settle(late, false) {
		t.Error("a look that was overtaken is repeated")
	}
	inForce("1\n")
	if !settle(same, true) {
		t.Error("a look that was overtaken is repeated")
	}
	inForce("1\n")
	if after := c.Check(f); after != before {
		t.Errorf("the version is %+v, was %+v", after, before)
	}
	// One that began last and says "as before" of a text that is no longer in force.
	same, known = c.look(f)
	if same.look += 10; !known {
		t.Error("the same text isn't known")
	}
	host.Write(effectiveCPUs, "3\n")
	c.Check(f)
	if settle(same, true) {
		t.Error("a text is said to be in force that isn't")
	}
	inForce("3\n")
}

// A text that comes back is another version.
func TestVersionsDiffer(t *testing.T) {
	host, c := rig(t)
	f := online(t)
	var last Told
	for range 50 {
		for _, cpus := range []string{"1\n", "2\n"} {
			host.Write(effectiveCPUs, cpus)
			now := c.Check(f)
			if !now.Since.After(last.Since) || !now.Known || now.Size != 2 {
				t.Fatalf("%q is %+v after %+v", cpus, now, last)
			}
			last = now
		}
	}
	if now := later(last.Since, last.Since); !now.After(last.Since) {
		t.Errorf("at the same moment: %v, then %v", last.Since, now)
	}
}
