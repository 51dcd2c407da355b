// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

func detect(t *testing.T, h *fixture.Host) *cgroupread.Layout {
	t.Helper()
	l, err := cgroupread.Detect(h.Proc)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDetectHosts(t *testing.T) {
	for _, c := range []struct {
		host string
		mode cgroupread.Mode
		// Where some controllers are, below /sys/fs/cgroup; "-" for nowhere.
		mounts map[string]string
	}{
		{"debian12-hybrid", cgroupread.Hybrid, map[string]string{
			"memory": "memory", "cpu": "cpu", "cpuacct": "cpuacct", "cpuset": "cpuset", "hugetlb": "unified",
			"": "unified", "name=systemd": "systemd", "name=x": "-", "io": "-", "rdma": "-",
		}},
		{"debian12-v1", cgroupread.V1, map[string]string{
			"memory": "memory", "cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct", "hugetlb": "hugetlb", "": "-", "io": "-",
		}},
		{"debian12-v2", cgroupread.V2, map[string]string{
			"memory": ".", "cpu": ".", "cpuset": ".", "hugetlb": ".", "": ".", "name=systemd": "-", "blkio": "-",
		}},
		{"debian12-v2-64cpu", cgroupread.V2, map[string]string{"memory": "."}},
	} {
		t.Run(c.host, func(t *testing.T) {
			h := fixture.Load(t, c.host)
			l := detect(t, h)
			if l.Mode() != c.mode {
				t.Errorf("Mode() = %v, want %v", l.Mode(), c.mode)
			}
			for controller, mount := range c.mounts {
				got, err := l.Hierarchy(controller)
				if mount == "-" {
					if !errors.Is(err, cgroupread.ErrNoController) {
						t.Errorf("%q: %+v, %v, want ErrNoController", controller, got, err)
					}
					continue
				}
				if want := filepath.Join(h.Sys, "fs/cgroup", mount); err != nil || got.Mountpoint != want {
					t.Errorf("%q: %q, %v, want %q", controller, got.Mountpoint, err, want)
				}
				if got.Root != "/" || !got.TrueRoot {
					t.Errorf("%q: root %q, true root %v", controller, got.Root, got.TrueRoot)
				}
			}
		})
	}
}

func TestMode(t *testing.T) {
	for m, want := range map[cgroupread.Mode]string{
		cgroupread.V1: "v1", cgroupread.Hybrid: "hybrid", cgroupread.V2: "v2", 0: "unknown",
	} {
		if got := m.String(); got != want {
			t.Errorf("%d: %q, want %q", m, got, want)
		}
	}
}

// host is a host of a few lines: cgroup is proc/self/cgroup, mounts
// proc/self/mountinfo.
func host(t *testing.T, cgroup, mounts string) *fixture.Host {
	t.Helper()
	h := fixture.Unpack(t, nil)
	h.Write("proc/self/cgroup", cgroup)
	h.MountInfo(mounts)
	return h
}

func TestDetectChoosesMount(t *testing.T) {
	const top = "1 0 0:1 / / rw - ext4 none rw\n2 1 0:2 / /sys rw - sysfs none rw\n"
	for _, c := range []struct {
		name, cgroup, mounts string
		controller           string
		mountpoint, root     string
	}{
		{
			"the whole rather than a part of it", "1:memory:/\n",
			"3 2 0:3 /docker/a /sys/fs/cgroup/part rw - cgroup cgroup rw,memory\n4 1 0:3 / /mnt rw - cgroup cgroup rw,memory\n",
			"memory", "/mnt", "/",
		},
		{
			"below /sys/fs/cgroup rather than elsewhere", "0::/\n",
			"3 1 0:3 / /mnt rw - cgroup2 none rw\n4 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw\n",
			"memory", "/sys/fs/cgroup", "/",
		},
		{
			"not one with a mount above it", "0::/\n",
			"3 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw\n4 1 0:3 / /mnt rw - cgroup2 none rw\n5 3 0:4 / /sys/fs/cgroup rw - tmpfs none rw\n",
			"memory", "/mnt", "/",
		},
		{
			"not one with a mount above its parent", "0::/\n",
			"3 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw\n4 1 0:3 / /mnt rw - cgroup2 none rw\n5 2 0:4 / /sys rw - tmpfs none rw\n",
			"memory", "/mnt", "/",
		},
		{
			"one beside a mount that is hidden itself", "0::/\n",
			"3 2 0:3 / /sys/fs/cgroup rw - tmpfs none rw\n4 2 0:4 / /sys rw - sysfs none rw\n5 4 0:5 / /sys/fs/cgroup rw - cgroup2 none rw\n",
			"memory", "/sys/fs/cgroup", "/",
		},
		{
			"one that lies above another mount", "0::/\n",
			"3 2 0:3 / /sys/fs/cgroup rw - tmpfs none rw\n4 3 0:4 / /sys/fs/cgroup rw - cgroup2 none rw\n",
			"memory", "/sys/fs/cgroup", "/",
		},
		{
			"all controllers of the line", "1:cpu,cpuacct:/\n2:cpuset:/\n",
			"3 2 0:3 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n4 2 0:4 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
			"cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/",
		},
		{
			"blanks in the mount point, optional fields", "0::/\n",
			"3 1 0:3 / /mnt/a\\040b rw shared:5 master:1 - cgroup2 none rw\n",
			"memory", "/mnt/a b", "/",
		},
		{
			"a container without a cgroup namespace", "1:memory:/docker/a\n",
			"3 2 0:3 /docker/a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"memory", "/sys/fs/cgroup/memory", "/docker/a",
		},
		{
			"a mount of what is above the namespace", "0::/\n",
			"3 2 0:3 /../.. /sys/fs/cgroup ro - cgroup2 none rw\n",
			"memory", "/sys/fs/cgroup", "/../..",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host(t, c.cgroup, top+c.mounts)
			got, err := detect(t, h).Hierarchy(c.controller)
			if err != nil || got.Mountpoint != h.Path(c.mountpoint) || got.Root != c.root {
				t.Errorf("%+v, %v, want %s from %s", got, err, c.mountpoint, c.root)
			}
		})
	}
}

func TestDetectModes(t *testing.T) {
	const (
		v1      = "3 1 0:3 / /a rw - cgroup cgroup rw,memory\n"
		named   = "4 1 0:4 / /b rw - cgroup cgroup rw,xattr,name=systemd\n"
		unified = "5 1 0:5 / /c rw - cgroup2 none rw,nsdelegate\n"
	)
	for _, c := range []struct {
		name, cgroup, mounts string
		mode                 cgroupread.Mode
		err                  error
	}{
		{"v1", "1:memory:/\n", v1, cgroupread.V1, nil},
		{"v1 with a cgroup2 that isn't mounted", "1:memory:/\n0::/\n", v1, cgroupread.V1, nil},
		{"hybrid", "1:memory:/\n0::/\n", v1 + unified, cgroupread.Hybrid, nil},
		{"hybrid with its cgroup2 hidden", "1:memory:/\n0::/\n", v1 + unified + "6 5 0:6 / /c rw - tmpfs none rw\n", cgroupread.V1, nil},
		{"v2", "0::/\n", unified, cgroupread.V2, nil},
		{"v2 and systemd's own", "1:name=systemd:/\n0::/\n", named + unified, cgroupread.V2, nil},
		{"nothing but systemd's own", "1:name=systemd:/\n", named, 0, cgroupread.ErrNoCgroups},
		{"nothing", "0::/\n", "", 0, cgroupread.ErrNoCgroups},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host(t, c.cgroup, "1 0 0:1 / / rw - ext4 none rw\n"+c.mounts)
			l, err := cgroupread.Detect(h.Proc)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && l.Mode() != c.mode {
				t.Errorf("Mode() = %v, want %v", l.Mode(), c.mode)
			}
		})
	}
}

func TestDetectRefuses(t *testing.T) {
	if _, err := cgroupread.Detect(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no proc: %v", err)
	}
	h := host(t, "0:x\n", "1 0 0:1 / / rw - ext4 none rw\n")
	var pe *cgroupread.ParseError
	if _, err := cgroupread.Detect(h.Proc); !errors.As(err, &pe) || pe.Path != h.Path("proc/self/cgroup") || pe.Line != 1 {
		t.Errorf("bad cgroup file: %v", err)
	}
	h = host(t, "0::/\n", "1 0 0:1\n")
	if _, err := cgroupread.Detect(h.Proc); err == nil || !strings.Contains(err.Error(), h.Path("proc/self/mountinfo")) {
		t.Errorf("bad mountinfo: %v", err)
	}
	h = host(t, "0::/\n", "")
	if err := os.Remove(h.Path("proc/self/mountinfo")); err != nil {
		t.Fatal(err)
	}
	if _, err := cgroupread.Detect(h.Proc); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no mountinfo: %v", err)
	}
}

func TestOfProcess(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v1", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			p, err := l.OfProcess(h.Proc, fixture.ContainerPID)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.String(); got != fixture.Container {
				t.Errorf("%q, want %q", got, fixture.Container)
			}
			for _, controller := range []string{"memory", "cpu", "cpuset"} {
				hier, err := l.Hierarchy(controller)
				if err != nil {
					t.Fatal(err)
				}
				if dir, err := l.Dir(p, controller); err != nil || dir != hier.Mountpoint+fixture.Container {
					t.Errorf("Dir(%s) = %q, %v", controller, dir, err)
				}
			}
			if _, err := l.Dir(p, "name=x"); !errors.Is(err, cgroupread.ErrNoController) {
				t.Errorf("Dir(name=x): %v", err)
			}
			if _, err := l.OfProcess(h.Proc, 4711); !errors.Is(err, cgroupread.ErrNoProcess) {
				t.Errorf("no such process: %v", err)
			}
			sibling, err := l.OfProcess(h.Proc, fixture.SiblingPID)
			if err != nil || p.Contains(sibling) || sibling.Contains(p) {
				t.Errorf("sibling %v, %v", sibling, err)
			}
		})
	}
}

func TestOfProcessPaths(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	l := detect(t, h)
	h.Write("sys/fs/cgroup/live (deleted)/cgroup.procs", "")
	for _, c := range []struct {
		text, want string
		err        error
	}{
		{"0::/a:b/c d\n", "/a:b/c d", nil},
		{"0::/../../x\n", "/../../x", nil},
		{"0::/live (deleted)\n", "/live (deleted)", nil}, // somebody's name for it
		{"0::/gone (deleted)\n", "", cgroupread.ErrGone},
		{"0::/../gone (deleted)\n", "", cgroupread.ErrGone},
		// It was made anew under its name: still not the process's.
		{"0::" + fixture.Container + " (deleted)\n", "", cgroupread.ErrGone},
		{"3:memory:/old\n0::/new\n", "unified:/new memory:/old", nil},
		{"", "", nil},
	} {
		h.Write("proc/77/cgroup", c.text)
		p, err := l.OfProcess(h.Proc, 77)
		if !errors.Is(err, c.err) || p.String() != c.want {
			t.Errorf("%q: %q, %v, want %q, %v", c.text, p, err, c.want, c.err)
		}
	}
	h.Write("proc/77/cgroup", "0::/\nx\n")
	var pe *cgroupread.ParseError
	if _, err := l.OfProcess(h.Proc, 77); !errors.As(err, &pe) || pe.Line != 2 || pe.Path != h.Path("proc/77/cgroup") {
		t.Errorf("bad text: %v", err)
	}
	// Outside of what is mounted: a path, but no directory.
	p, err := l.OfText([]byte("0::/../x\n"))
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := l.Dir(p, "memory"); !errors.Is(err, cgroupread.ErrOutside) {
		t.Errorf("Dir outside = %q, %v", dir, err)
	}
	if _, err := l.Open(p); !errors.Is(err, cgroupread.ErrOutside) {
		t.Errorf("Open outside: %v", err)
	}
}

func TestOfDir(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v1", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			want, err := l.OfProcess(h.Proc, fixture.ContainerPID)
			if err != nil {
				t.Fatal(err)
			}
			memory, err := l.Dir(want, "memory")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{fixture.Container, fixture.Container[1:], fixture.Container + "/", memory, memory + "/.", "//" + memory} {
				if got, err := l.OfDir(path); err != nil || !got.Equal(want) {
					t.Errorf("OfDir(%q) = %v, %v, want %v", path, got, err, want)
				}
			}
			if root, err := l.OfDir("/"); err != nil || root.String() != "/" {
				t.Errorf("OfDir(/) = %v, %v", root, err)
			}
			for _, path := range []string{"/nowhere", memory + "/nowhere", "/sys/fs/cgroup/nowhere"} {
				if got, err := l.OfDir(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("OfDir(%q) = %v, %v, want fs.ErrNotExist", path, got, err)
				}
			}
			for _, path := range []string{"", "/a/../b", "../a", "..", memory + "/..", "/a\n", "/a\x00"} {
				if got, err := l.OfDir(path); err == nil {
					t.Errorf("OfDir(%q) = %v, want an error", path, got)
				}
			}
		})
	}
}

// memory /only/here/deep, everything else at most /only.
func TestOfDirNearestAncestor(t *testing.T) {
	h := fixture.Load(t, "debian12-v1")
	h.Write("sys/fs/cgroup/memory/only/here/deep/cgroup.procs", "")
	h.Write("sys/fs/cgroup/cpuset/only/cgroup.procs", "")
	if err := os.Symlink("cpu,cpuacct", h.Path("sys/fs/cgroup/cpu")); err != nil {
		t.Fatal(err)
	}
	l := detect(t, h)
	p, err := l.OfDir("/only/here/deep")
	if err != nil {
		t.Fatal(err)
	}
	for controller, want := range map[string]string{"memory": "/only/here/deep", "cpuset": "/only", "cpu": "/", "cpuacct": "/", "name=systemd": "/"} {
		if got, ok := p.Path(controller); !ok || got != want {
			t.Errorf("%s: %q, %v, want %q", controller, got, ok, want)
		}
	}
	// Through the symbolic link that a controller has beside a shared mount.
	want, err := l.OfDir(fixture.Container)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.OfDir(h.Path("sys/fs/cgroup/cpu" + fixture.Container)); err != nil || !got.Equal(want) {
		t.Errorf("through a link: %v, %v, want %v", got, err, want)
	}
}
