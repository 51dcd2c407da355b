// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup/translate"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func layout(t *testing.T) *cgroupread.Layout {
	t.Helper()
	l, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// makeCgroup makes a cgroup below Parent that the test's end removes.
func makeCgroup(t *testing.T, res *specs.LinuxResources) *Cgroup {
	t.Helper()
	path := fmt.Sprintf("%s/test-%d-%d", Parent, os.Getpid(), time.Now().UnixNano())
	c, err := Create(layout(t), path, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Kill(ctx); err != nil {
			t.Error(err)
		}
		if err := c.Delete(ctx); err != nil {
			t.Error(err)
		}
		for _, dir := range c.dirs() {
			if _, err := os.Lstat(dir); err == nil {
				t.Errorf("%s is left", dir)
			}
		}
	})
	return c
}

func content(t *testing.T, c *Cgroup, controller, file string) string {
	t.Helper()
	text, ok := c.read(controller, file)
	if !ok {
		t.Fatalf("%s of %s can't be read", file, c.Path())
	}
	return text
}

// sleeper starts a process that has children, and waits for it in the end.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "sleep 1000 & sleep 1000 & wait")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestRealLimitsV1(t *testing.T) {
	testenv.RequireV1(t)
	c := makeCgroup(t, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20), Swap: ptr[int64](96 << 20), Reservation: ptr[int64](32 << 20)},
		CPU: &specs.LinuxCPU{
			Shares: ptr[uint64](512), Quota: ptr[int64](250000), Period: ptr[uint64](500000),
			Burst: ptr[uint64](1000), Cpus: "0", Mems: "0",
		},
		Pids:    &specs.LinuxPids{Limit: ptr[int64](50)},
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](3), Access: "rw"}},
	})
	for _, want := range []struct{ controller, file, value string }{
		{"memory", "memory.limit_in_bytes", "67108864"},
		{"memory", "memory.memsw.limit_in_bytes", "100663296"},
		{"memory", "memory.soft_limit_in_bytes", "33554432"},
		{"cpu", "cpu.shares", "512"},
		{"cpu", "cpu.cfs_quota_us", "250000"},
		{"cpu", "cpu.cfs_period_us", "500000"},
		{"cpu", "cpu.cfs_burst_us", "1000"},
		{"cpuset", "cpuset.cpus", "0"},
		{"cpuset", "cpuset.mems", "0"},
		{"pids", "pids.max", "50"},
		{"devices", "devices.list", "c 1:3 rw"},
	} {
		if got := content(t, c, want.controller, want.file); got != want.value {
			t.Errorf("%s = %q, want %q", want.file, got, want.value)
		}
	}

	// Both directions, each of which the kernel refuses in the other order.
	for _, limit := range []int64{256 << 20, 16 << 20, -1, 128 << 20} {
		swap := limit
		if limit > 0 {
			swap = limit + 8<<20
		}
		err := c.Update(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}})
		if err != nil {
			t.Errorf("Update of memory to %d: %v", limit, err)
		}
	}
	for _, q := range []struct {
		quota  int64
		period uint64
	}{{5000, 10000}, {900000, 1000000}, {-1, 100000}, {1000, 1000}} {
		err := c.Update(&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &q.quota, Period: &q.period}})
		if err != nil {
			t.Errorf("Update of quota to %v: %v", q, err)
		}
	}
}

func TestRealLimitsV2(t *testing.T) {
	testenv.RequireV2(t)
	c := makeCgroup(t, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20), Swap: ptr[int64](96 << 20), Reservation: ptr[int64](32 << 20)},
		CPU: &specs.LinuxCPU{
			Shares: ptr[uint64](512), Quota: ptr[int64](250000), Period: ptr[uint64](500000), Cpus: "0", Mems: "0",
		},
		Pids:    &specs.LinuxPids{Limit: ptr[int64](50)},
		Unified: map[string]string{"memory.high": "50331648"},
		Devices: []specs.LinuxDeviceCgroup{{Allow: false}, {Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](3)}},
	})
	check := func(when string, values ...[2]string) {
		t.Helper()
		for _, v := range values {
			file, want := v[0], v[1]
			if got := content(t, c, translate.ControllerOf(file), file); got != want {
				t.Errorf("%s: %s = %q, want %q", when, file, got, want)
			}
		}
	}
	check("after Create",
		[2]string{"memory.max", "67108864"}, [2]string{"memory.swap.max", "33554432"}, [2]string{"memory.low", "33554432"},
		[2]string{"memory.high", "50331648"}, [2]string{"cpu.weight", "59"}, [2]string{"cpu.max", "250000 500000"},
		[2]string{"cpuset.cpus", "0"}, [2]string{"cpuset.mems", "0"}, [2]string{"pids.max", "50"})
	for _, step := range []struct {
		res  specs.LinuxCPU
		want string
	}{
		{specs.LinuxCPU{Quota: ptr[int64](-1)}, "max 500000"},
		{specs.LinuxCPU{Period: ptr[uint64](100000)}, "max 100000"},
		{specs.LinuxCPU{Quota: ptr[int64](30000)}, "30000 100000"},
		{specs.LinuxCPU{Period: ptr[uint64](60000), Burst: ptr[uint64](1000)}, "30000 60000"},
	} {
		if err := c.Update(&specs.LinuxResources{CPU: &step.res}); err != nil {
			t.Errorf("Update to %s: %v", step.want, err)
		}
		check("after Update", [2]string{"cpu.max", step.want})
	}
	if err := c.Update(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)}}); err != nil {
		t.Error(err)
	}
	check("without limits", [2]string{"memory.max", "max"}, [2]string{"memory.swap.max", "max"})

	// A process can be started in it, and the program holds for that one.
	fd, err := c.FD()
	if err != nil || fd == nil {
		t.Fatalf("FD = %v, %v", fd, err)
	}
	defer func() { _ = fd.Close() }()
	cmd := exec.Command("/bin/sh", "-c", "echo >/dev/null && cat /dev/zero")
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not permitted") {
		t.Errorf("cat /dev/zero in the cgroup: %v: %.100s", err, out)
	}
}

func TestRealJoinKillDelete(t *testing.T) {
	testenv.RequireRoot(t)
	c := makeCgroup(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}})
	cmd := sleeper(t)
	if err := c.Join(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	paths, err := layout(t).OfProcess("/proc", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if !paths.Equal(c.Paths()) {
		t.Errorf("after Join the process is in %s, Paths says %s", paths, c.Paths())
	}
	// A child cgroup with a process of its own, and a frozen one on v1.
	for _, dir := range c.dirs() {
		if err := os.Mkdir(filepath.Join(dir, "inner"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if h := c.host.of("freezer"); h != nil && !h.Unified {
		if err := writeFile(filepath.Join(c.in(*h), "freezer.state"), "FROZEN"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Delete(ctx); !errors.Is(err, ErrStillThere) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("Delete with a process inside = %v, want ErrStillThere and its PID", err)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	var status *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &status) {
		t.Errorf("process after Kill: %v", err)
	}
	if err := c.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Delete(t.Context()); err != nil {
		t.Errorf("Delete of what is gone: %v", err)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Errorf("Kill of what is gone: %v", err)
	}
	if _, err := Open(layout(t), c.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what is gone = %v", err)
	}
}

func TestRealInUse(t *testing.T) {
	testenv.RequireRoot(t)
	c := makeCgroup(t, nil)
	if _, err := Create(layout(t), c.Path(), nil); err != nil {
		t.Errorf("Create of an empty one that is there = %v", err)
	}
	cmd := sleeper(t)
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	if err := c.Join(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(layout(t), c.Path(), nil); !errors.Is(err, ErrInUse) {
		t.Errorf("Create of one with a process = %v, want ErrInUse", err)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Error(err)
	}
}

// A limit that only the kernel can refuse: nothing is left of the cgroup.
func TestRealUndo(t *testing.T) {
	testenv.RequireV1(t)
	path := fmt.Sprintf("%s/undo-%d/inner", Parent, os.Getpid())
	_, err := Create(layout(t), path, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)},
		BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{
			{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 4000, Minor: 1}, Rate: 1024},
		}},
	})
	var we *WriteError
	if !errors.As(err, &we) || we.Value != "4000:1 1024" || !errors.Is(err, unix.ENODEV) {
		t.Errorf("Create with a limit for a disk that isn't there = %v", err)
	}
	for _, h := range NewHost(layout(t)).hierarchies {
		if _, err := os.Lstat(filepath.Join(h.Mountpoint, filepath.Dir(path))); err == nil {
			t.Errorf("%s is left in %s", filepath.Dir(path), h.Mountpoint)
		}
	}
}

// Containers come and go at once below one parent, which each of them removes.
func TestRealParentRace(t *testing.T) {
	testenv.RequireRoot(t)
	l := layout(t)
	errs := make(chan error, 4)
	for n := range cap(errs) {
		go func() {
			for i := range 25 {
				c, err := Create(l, fmt.Sprintf("%s/race-%d-%d-%d", Parent, os.Getpid(), n, i), nil)
				if err == nil {
					err = c.Delete(context.Background())
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*" + Parent + "/race-*")
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRealHost(t *testing.T) {
	testenv.RequireRoot(t)
	h := NewHost(layout(t))
	if cpus, ok := h.CPUs(); !ok || !cpus.Has(0) {
		t.Errorf("CPUs = %s, %v", cpus, ok)
	}
	for _, controller := range []string{"memory", "cpu", "cpuset", "pids", "io", "blkio"} {
		if !h.Has(controller) {
			t.Errorf("no %s: %s", controller, h)
		}
	}
	if h.Has("nonsense") {
		t.Errorf("has nonsense: %s", h)
	}
	if !slices.ContainsFunc(h.hierarchies, func(at cgroupread.Hierarchy) bool { return at.TrueRoot }) {
		t.Logf("no true root among %v: this test runs in a container", h.hierarchies)
	}
}
