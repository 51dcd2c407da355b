// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package crowd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestCrowd: each member is a cgroup of its own with a limit; growing makes only
// the missing ones; one whose maker is gone is removed by the next.
func TestCrowd(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left, err := New(t.Context(), layout, gone.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string, cgroupread.Paths) error { return nil }
	if err := left.Grow(2, none); err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), layout, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if h, err := layout.Hierarchy("memory"); err == nil {
		if there, err := filepath.Glob(filepath.Join(h.Mountpoint, left.parent.Path())); err != nil || len(there) > 0 {
			t.Errorf("left by a process that is gone: %v, %v", there, err)
		}
	}
	var names []string
	for _, n := range []int{0, 3, 3, 5} {
		if err := c.Grow(n, func(name string, paths cgroupread.Paths) error {
			names = append(names, name)
			cg, err := layout.Open(paths)
			if err != nil {
				return err
			}
			chain, err := cg.Memory()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if limit, ok := chain[0].Max.Value(); !ok || limit != memory {
				t.Errorf("%s: its limit is %v", name, chain[0].Max)
			}
			return cg.Close()
		}); err != nil {
			t.Fatal(err)
		}
		if len(names) != n {
			t.Errorf("%d were asked for, there are %v", n, names)
		}
	}
	refuse := errors.New("no")
	if err := c.Grow(6, func(string, cgroupread.Paths) error { return refuse }); !errors.Is(err, refuse) {
		t.Errorf("when one can't be used: %v", err)
	}
}
