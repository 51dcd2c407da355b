// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// newView returns the view of a captured host, to which a CPU's directory with a
// link is added.
func newView(t *testing.T) (*View, *fixture.Host) {
	t.Helper()
	host := fixture.Load(t, "debian12-v2-64cpu")
	layout, err := cgroupread.Detect(host.Proc)
	if err != nil {
		t.Fatal(err)
	}
	host.Write("sys/devices/system/cpu/cpu3/topology/core_id", "3\n")
	host.Write("sys/devices/system/cpu/cpu3/crash_notes", "secret\n")
	if err := os.Symlink("../../node/node0", host.Path("sys/devices/system/cpu/cpu3/node0")); err != nil {
		t.Fatal(err)
	}
	sources := source.NewHost(source.Config{
		Proc: host.Proc, Sys: host.Sys, Layout: layout, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Boot: func() time.Duration { return time.Hour },
	})
	t.Cleanup(func() {
		if err := sources.Close(); err != nil {
			t.Error(err)
		}
	})
	present := func(f *source.File) (Like, bool) {
		_, err := os.Stat(host.Path(f.Path))
		return Like{Mode: f.Mode}, err == nil
	}
	return New(present, sources.Directories()), host
}

// Every node is found by its name, its number, and in its directory's list, and
// knows the directory that it is in.
func TestFound(t *testing.T) {
	v, _ := newView(t)
	seen := map[uint32]string{}
	kinds := map[uint32]int{}
	var walk func(dir *Node, path string)
	walk = func(dir *Node, path string) {
		list, err := v.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			at := path + "/" + n.Name
			if other, ok := seen[n.Number]; ok {
				t.Errorf("%s and %s have the number %#x", at, other, n.Number)
			}
			seen[n.Number] = at
			kinds[n.Kind()]++
			if n.Up != dir.Number {
				t.Errorf("%s is in %#x, says %#x", at, dir.Number, n.Up)
			}
			byName, err := v.Child(dir, n.Name)
			if err != nil || byName.Number != n.Number {
				t.Errorf("%s: found %+v, %v", at, byName, err)
			}
			byNumber, err := v.At(n.Number)
			if err != nil || byNumber.Name != n.Name || byNumber.Kind() != n.Kind() || byNumber.Up != n.Up {
				t.Errorf("%s: number %#x is %+v, %v", at, n.Number, byNumber, err)
			}
			if n.Directory() {
				walk(n, at)
			} else if n.Links() != 1 {
				t.Errorf("%s has %d links", at, n.Links())
			}
		}
	}
	walk(v.Top(), "")
	if kinds[unix.S_IFLNK] != 1 || kinds[unix.S_IFDIR] < 8 || kinds[unix.S_IFREG] < 20 {
		t.Errorf("there are %v", kinds)
	}
	for _, number := range []uint32{0, 9, 15, 999, 1 << 31, 1<<32 - 1} {
		if n, err := v.At(number); !errors.Is(err, ErrNone) {
			t.Errorf("number %#x is %+v, %v", number, n, err)
		}
	}
}

// What goes from the host goes from the view.
func TestGone(t *testing.T) {
	v, host := newView(t)
	at := v.Top()
	for _, name := range []string{"sys", "devices", "system", "cpu", "cpu3"} {
		var err error
		if at, err = v.Child(at, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := v.Child(at, "crash_notes"); !errors.Is(err, ErrNone) {
		t.Errorf("found %+v, %v", n, err)
	}
	host.Remove("sys/devices/system/cpu/cpu3")
	if n, err := v.Child(at, "topology"); !errors.Is(err, ErrNone) {
		t.Errorf("found %+v, %v", n, err)
	}
	if n, err := v.At(at.Number); !errors.Is(err, ErrNone) {
		t.Errorf("found %+v, %v", n, err)
	}
	if list, err := v.List(at); !errors.Is(err, ErrNone) {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestInodes(t *testing.T) {
	v, _ := newView(t)
	numbers := []uint32{Top, 16, 1<<16 - 1}
	list, err := v.List(&Node{Dir: v.dirs[0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		numbers = append(numbers, n.Number)
	}
	for _, slot := range []uint64{0, 1, 1<<16 - 1, 1 << 16, 1<<32 - 1} {
		shown := map[uint64]bool{0: true}
		for _, number := range numbers {
			if s, n := Split(Inode(slot, number)); s != slot || n != number {
				t.Errorf("inode of %d, %#x comes apart as %d, %#x", slot, number, s, n)
			}
			if s := Shown(slot, number); shown[s] || s >= 1<<32 {
				t.Errorf("slot %d, number %#x is shown as %#x", slot, number, s)
			}
			shown[Shown(slot, number)] = true
		}
	}
	if Inode(0, Top) != 1 || Shown(0, Top) != 1 {
		t.Error("the top of a tree isn't FUSE's root")
	}
}
