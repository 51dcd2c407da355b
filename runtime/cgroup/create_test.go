// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func everything() *specs.LinuxResources {
	return &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28), Swap: ptr[int64](1 << 29)},
		Pids:   &specs.LinuxPids{Limit: ptr[int64](10)},

		Devices: []specs.LinuxDeviceCgroup{{Allow: false}, {Allow: true, Type: "c", Access: "m"}},
	}
}

// Whatever step fails, nothing is left; and without a failure neither is there
// anything after Delete.
func TestCreateUndoes(t *testing.T) {
	for name, makeFake := range map[string]func(*testing.T) *fake{"v1": fakeV1, "v2": fakeV2, "hybrid": fakeHybrid} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				f := makeFake(t)
				f.failAt = n
				c, err := create(f.host, fakePath, everything(), f.system())
				if f.count < n {
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Delete(t.Context()); err != nil {
						t.Error(err)
					}
					if left := f.left(); len(left) > 0 {
						t.Errorf("after Delete: %v", left)
					}
					if n < 5 {
						t.Errorf("only %d steps: the test injects nothing", n)
					}
					return
				}
				if !errors.Is(err, errFake) {
					t.Errorf("step %d: Create = %v, want the injected error", n, err)
				}
				if left := f.left(); len(left) > 0 {
					t.Errorf("step %d: left: %v", n, left)
				}
			}
		})
	}
}

// A parent that somebody else's container lives in stays.
func TestParentStaysWhileUsed(t *testing.T) {
	f := fakeV1(t)
	first, err := create(f.host, Parent+"/a", nil, f.system())
	if err != nil {
		t.Fatal(err)
	}
	second, err := create(f.host, Parent+"/b", nil, f.system())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range second.dirs() {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := second.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := f.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Parents elsewhere are removed by whom made them, and by nobody else.
func TestForeignParentStays(t *testing.T) {
	f := fakeV2(t)
	root := f.host.hierarchies[0].Mountpoint
	if err := f.system().mkdir(filepath.Join(root, "theirs")); err != nil {
		t.Fatal(err)
	}
	c, err := create(f.host, "/theirs/ours/c", nil, f.system())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "theirs")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, "theirs/ours")); err == nil {
		t.Error("a parent that Create made is left")
	}
}

func TestV1FillsCpusetOnEveryLevel(t *testing.T) {
	f := fakeV1(t)
	res := &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "1"}}
	if _, err := create(f.host, fakePath, res, f.system()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/procfs-shim/cpuset.cpus 0-1", "/procfs-shim/cpuset.mems 0",
		"/procfs-shim/c1/cpuset.cpus 0-1", "/procfs-shim/c1/cpuset.mems 0",
		"/procfs-shim/c1/cpuset.cpus 1",
	}
	if diff := cmp.Diff(want, f.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestV1OldKernelCountsHierarchically(t *testing.T) {
	f := fakeV1(t)
	for _, files := range f.files {
		if _, ok := files["memory.use_hierarchy"]; ok {
			files["memory.use_hierarchy"] = "0"
		}
	}
	if _, err := create(f.host, fakePath, nil, f.system()); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(f.writes, "\n")
	for _, want := range []string{"/procfs-shim/memory.use_hierarchy 1", "/procfs-shim/c1/memory.use_hierarchy 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no write of %q in:\n%s", want, got)
		}
	}
}

// Controllers are handed down above the container's cgroup, never in it.
func TestV2EnablesFromTheTop(t *testing.T) {
	f := fakeV2(t)
	if _, err := create(f.host, fakePath, everything(), f.system()); err != nil {
		t.Fatal(err)
	}
	root := f.host.hierarchies[0].Mountpoint
	for dir, want := range map[string]string{
		"": "+cpuset +cpu +io +memory +pids +hugetlb +rdma", "procfs-shim": "+cpuset +cpu +io +memory +pids +hugetlb +rdma",
		"procfs-shim/c1": "",
	} {
		text, err := os.ReadFile(filepath.Join(root, dir, "cgroup.subtree_control"))
		if got := strings.TrimSpace(string(text)); err != nil || got != want {
			t.Errorf("%s: cgroup.subtree_control = %q, %v, want %q", dir, got, err, want)
		}
	}
}

// On a hybrid host cgroup2 is told only what a limit needs.
func TestHybridEnablesWhatIsNeeded(t *testing.T) {
	f := fakeHybrid(t)
	if _, err := create(f.host, fakePath, everything(), f.system()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(f.host.of("").Mountpoint, "cgroup.subtree_control"))
	if got := strings.TrimSpace(string(text)); err != nil || got != "+pids" {
		t.Errorf("cgroup.subtree_control = %q, %v, want +pids", got, err)
	}
	want := []string{"memory.limit_in_bytes 268435456", "memory.memsw.limit_in_bytes 536870912", "pids.max 10", "(program) 2 rules"}
	if diff := cmp.Diff(want, f.leafWrites()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestJoinWritesEveryHierarchy(t *testing.T) {
	for name, makeFake := range map[string]func(*testing.T) *fake{"v1": fakeV1, "v2": fakeV2, "hybrid": fakeHybrid} {
		f := makeFake(t)
		c, err := create(f.host, fakePath, nil, f.system())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Join(4242); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, dir := range c.dirs() {
			text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if got := strings.TrimSpace(string(text)); err != nil || got != "4242" {
				t.Errorf("%s: %s/cgroup.procs = %q, %v", name, dir, got, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := c.Delete(ctx); !errors.Is(err, ErrStillThere) || !strings.Contains(err.Error(), "4242") {
			t.Errorf("%s: Delete with a process = %v", name, err)
		}
		cancel()
		if err := os.RemoveAll(c.dirs()[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.Join(4242); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: Join where a hierarchy lost the cgroup = %v, want ErrNotExist", name, err)
		}
		if err := c.Join(0); err == nil {
			t.Errorf("%s: Join(0) = nil: that moves the caller", name)
		}
	}
}

func TestPathsAndFD(t *testing.T) {
	f := fakeV2(t)
	c, err := create(f.host, fakePath, nil, f.system())
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := c.Paths().Path("memory"); !ok || p != fakePath {
		t.Errorf("Paths = %s", c.Paths())
	}
	fd, err := c.FD()
	if err != nil || fd == nil {
		t.Fatalf("FD = %v, %v", fd, err)
	}
	if err := fd.Close(); err != nil {
		t.Error(err)
	}
	v1 := fakeV1(t)
	v1.host.hierarchies[0].Root = "/docker/abc" // a mount that shows a part
	c, err = create(v1.host, fakePath, nil, v1.system())
	if err != nil {
		t.Fatal(err)
	}
	if fd, err := c.FD(); fd != nil || err != nil {
		t.Errorf("FD on v1 = %v, %v, want none", fd, err)
	}
	if p, _ := c.Paths().Path(v1.host.hierarchies[0].Controllers[0]); p != "/docker/abc"+fakePath {
		t.Errorf("path below a mount of a part = %q", p)
	}
}

func TestBadPaths(t *testing.T) {
	f := fakeV2(t)
	for _, path := range []string{"", "/", "relative", "/a/../b", "/a//b", "/a/", "/a\nb", "/a\x00b", "/.."} {
		if _, err := create(f.host, path, nil, f.system()); err == nil {
			t.Errorf("create(%q) = nil", path)
		}
	}
	if _, err := create(Host{}, "/a", nil, kernel()); err == nil {
		t.Error("create without any hierarchy = nil")
	}
}
