// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

func ptr[T any](v T) *T { return &v }

// fake is a cgroup file system of plain files. A new directory gets the files
// that the kernel would put there.
type fake struct {
	t      *testing.T
	host   Host
	writes []string // "controller-dir file value"
	failAt int      // the n-th change (mkdir or write) fails with errFake; 0: none
	count  int
	files  map[string]map[string]string // mountpoint → file → content of a new cgroup
}

var errFake = errors.New("injected")

// filesV1 are the files of a new cgroup in each v1 hierarchy, with the kernel's
// first values (Linux 6.18 on a host with two CPUs).
func filesV1() map[string]map[string]string {
	return map[string]map[string]string{
		"cpu,cpuacct": {
			"cpu.shares": "1024", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.cfs_burst_us": "0",
			"cpu.idle": "0", "cpu.rt_period_us": "1000000", "cpu.rt_runtime_us": "0",
		},
		"cpuset": {"cpuset.cpus": "", "cpuset.mems": "", "cpuset.effective_cpus": "0-1", "cpuset.effective_mems": "0"},
		"memory": {
			"memory.limit_in_bytes": "9223372036854771712", "memory.memsw.limit_in_bytes": "9223372036854771712",
			"memory.soft_limit_in_bytes": "9223372036854771712", "memory.swappiness": "60", "memory.oom_control": "",
			"memory.kmem.tcp.limit_in_bytes": "9223372036854771712", "memory.use_hierarchy": "1",
		},
		"pids": {"pids.max": "max"},
		"blkio": {
			"blkio.bfq.weight": "100", "blkio.bfq.weight_device": "", "blkio.bfq.io_serviced": "",
			"blkio.throttle.read_bps_device": "", "blkio.throttle.write_bps_device": "",
			"blkio.throttle.read_iops_device": "", "blkio.throttle.write_iops_device": "",
		},
		"devices":      {"devices.allow": "", "devices.deny": "", "devices.list": "a *:* rwm"},
		"freezer":      {"freezer.state": "THAWED"},
		"hugetlb":      {"hugetlb.2MB.limit_in_bytes": "0", "hugetlb.2MB.rsvd.limit_in_bytes": "0"},
		"net_cls":      {"net_cls.classid": "0"},
		"net_prio":     {"net_prio.ifpriomap": ""},
		"rdma":         {"rdma.max": ""},
		"name=systemd": {},
	}
}

func filesV2() map[string]string {
	return map[string]string{
		"cgroup.controllers": "", "cgroup.subtree_control": "", "cgroup.procs": "",
		"cpuset.cpus": "", "cpuset.mems": "",
		"cpu.max": "max 100000", "cpu.max.burst": "0", "cpu.weight": "100", "cpu.idle": "0",
		"memory.max": "max", "memory.high": "max", "memory.low": "0", "memory.swap.max": "max",
		"pids.max": "max", "io.max": "", "io.weight": "default 100", "io.bfq.weight": "default 100",
		"hugetlb.2MB.max": "max", "hugetlb.2MB.rsvd.max": "max", "rdma.max": "",
	}
}

func newFake(t *testing.T) *fake {
	return &fake{t: t, files: map[string]map[string]string{}}
}

// mount adds a hierarchy whose root holds the files of root, whose new cgroups
// those of child.
func (f *fake) mount(name string, unified bool, controllers []string, root, child map[string]string) {
	dir := filepath.Join(f.t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	f.files[dir] = child
	f.put(dir, root)
	f.put(dir, map[string]string{"cgroup.procs": ""})
	f.host.hierarchies = append(f.host.hierarchies, cgroupread.Hierarchy{
		Controllers: controllers, Unified: unified, Mountpoint: dir, Root: "/", TrueRoot: true,
	})
}

func (f *fake) put(dir string, files map[string]string) {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

func fakeV1(t *testing.T) *fake {
	f := newFake(t)
	all := filesV1()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		root := maps.Clone(all[name])
		switch name {
		case "cpuset":
			root["cpuset.cpus"], root["cpuset.mems"] = "0-1", "0"
		case "blkio":
			delete(root, "blkio.bfq.weight") // not in a root
		}
		child := maps.Clone(all[name])
		child["cgroup.procs"] = ""
		f.mount(name, false, strings.Split(name, ","), root, child)
	}
	return f
}

func fakeV2(t *testing.T) *fake {
	f := newFake(t)
	f.host.pure = true
	f.mount("unified", true, []string{"cpuset", "cpu", "io", "memory", "pids", "hugetlb", "rdma"}, map[string]string{
		"cgroup.controllers": "cpuset cpu io memory pids hugetlb rdma", "cgroup.subtree_control": "",
		"cpuset.cpus.effective": "0-1", "cpuset.mems.effective": "0", "io.cost.qos": "",
	}, filesV2())
	return f
}

// fakeHybrid has memory on v1 and hugetlb, pids on cgroup2.
func fakeHybrid(t *testing.T) *fake {
	f := newFake(t)
	child := filesV1()["memory"]
	child["cgroup.procs"] = ""
	f.mount("memory", false, []string{"memory"}, filesV1()["memory"], child)
	f.mount("unified", true, []string{"pids", "hugetlb"}, map[string]string{
		"cgroup.controllers": "pids hugetlb", "cgroup.subtree_control": "",
	}, filesV2())
	return f
}

func (f *fake) step() error {
	f.count++
	if f.count == f.failAt {
		return errFake
	}
	return nil
}

func (f *fake) system() system {
	return system{
		mkdir: func(dir string) error {
			if err := f.step(); err != nil {
				return err
			}
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			f.put(dir, f.files[f.mountOf(dir)])
			return nil
		},
		rmdir: func(dir string) error {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.IsDir() {
					return unix.EBUSY
				}
			}
			if text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && strings.TrimSpace(string(text)) != "" {
				return unix.EBUSY
			}
			return os.RemoveAll(dir)
		},
		write: func(file, value string) error {
			if err := f.step(); err != nil {
				return &WriteError{File: file, Value: value, Err: err}
			}
			at := f.mountOf(file)
			f.writes = append(f.writes, strings.TrimPrefix(file, at)+" "+value)
			return writeFile(file, value)
		},
		limitDevices: func(dir string, rules []specs.LinuxDeviceCgroup) error {
			if err := f.step(); err != nil {
				return err
			}
			f.writes = append(f.writes, fmt.Sprintf("%s/(program) %d rules", strings.TrimPrefix(dir, f.mountOf(dir)), len(rules)))
			return nil
		},
	}
}

func (f *fake) mountOf(path string) string {
	for dir := range f.files {
		if strings.HasPrefix(path, dir+"/") {
			return dir
		}
	}
	f.t.Fatalf("%s is in no mount", path)
	return ""
}

// left lists the directories below the mountpoints.
func (f *fake) left() []string {
	var dirs []string
	for mount := range f.files {
		entries, err := os.ReadDir(mount)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(mount, e.Name()))
			}
		}
	}
	return dirs
}

const fakePath = "/procfs-shim/c1"

// leafWrites are the writes into the container's own cgroup, less the filling
// of cpuset's lists.
func (f *fake) leafWrites() []string {
	var own []string
	for _, w := range f.writes {
		if rest, ok := strings.CutPrefix(w, fakePath+"/"); ok {
			own = append(own, rest)
		}
	}
	return own
}
