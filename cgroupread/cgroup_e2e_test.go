// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package cgroupread_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// These tests ask the real kernel, in whatever layout the host has. They make
// cgroups of their own and remove them.

func detectReal(t *testing.T) *cgroupread.Layout {
	t.Helper()
	l, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// makeCgroup makes a cgroup in every hierarchy that views read, and removes it
// and what is above it up to the root when the test ends.
func makeCgroup(t *testing.T, l *cgroupread.Layout, path string) {
	t.Helper()
	for _, dir := range dirs(t, l, path) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for d, up := dir, strings.Count(path, "/"); up > 0; d, up = filepath.Dir(d), up-1 {
				if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
					t.Errorf("rmdir %s: %v", d, err)
				}
			}
		})
	}
}

// dirs are a path's directories, one for each hierarchy that views read.
func dirs(t *testing.T, l *cgroupread.Layout, path string) []string {
	t.Helper()
	var all []string
	seen := make(map[string]bool)
	for _, controller := range []string{"memory", "cpu", "cpuset", ""} {
		h, err := l.Hierarchy(controller)
		if err != nil || seen[h.Mountpoint] {
			continue
		}
		seen[h.Mountpoint] = true
		all = append(all, h.Mountpoint+path)
	}
	if len(all) == 0 {
		t.Fatal("no hierarchy")
	}
	return all
}

// enable turns controllers on for the children of a v2 cgroup.
func enable(t *testing.T, l *cgroupread.Layout, path string) {
	t.Helper()
	if l.Mode() != cgroupread.V2 {
		return
	}
	h, err := l.Hierarchy("")
	if err != nil {
		t.Fatal(err)
	}
	write(t, h.Mountpoint+path+"/cgroup.subtree_control", "+memory +cpu +cpuset")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func name(t *testing.T) string {
	return "/procfs-shim-test-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")) + "-" + strconv.Itoa(os.Getpid())
}

func TestModeAsContainerd(t *testing.T) {
	want := map[cgroups.CGMode]cgroupread.Mode{
		cgroups.Legacy: cgroupread.V1, cgroups.Hybrid: cgroupread.Hybrid, cgroups.Unified: cgroupread.V2,
	}[cgroups.Mode()]
	if got := detectReal(t).Mode(); got != want {
		t.Errorf("Mode() = %v, containerd/cgroups says %v", got, want)
	}
}

func TestOwnProcess(t *testing.T) {
	l := detectReal(t)
	p, err := l.OfProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cg, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := cg.Memory()
	if err != nil {
		t.Error(err)
	}
	cpu, err := cg.CPU()
	if err != nil || cpu.HaveEffective && cpu.Effective.IsEmpty() {
		t.Errorf("CPU() = %+v, %v", cpu, err)
	}
	t.Logf("%v: %v; memory %v over %d levels, CPUs %v", l.Mode(), p, memory.Max(), len(memory), cpu.Effective)
	if err := cg.Close(); err != nil {
		t.Error(err)
	}
}

// /NAME          64 MiB, 1.5 CPUs
//
//	└─ inner  16 MiB, then 128 MiB; no quota
func TestRealLimits(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeCgroup(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	set := func(controller, path, v2File, v1File, v2Text, v1Text string) {
		t.Helper()
		h, err := l.Hierarchy(controller)
		if err != nil {
			t.Fatal(err)
		}
		file, text := v1File, v1Text
		if h.Unified {
			file, text = v2File, v2Text
		}
		write(t, h.Mountpoint+path+"/"+file, text)
	}
	set("memory", base, "memory.max", "memory.limit_in_bytes", "67108864", "67108864")
	set("cpu", base, "cpu.max", "cpu.cfs_quota_us", "150000 100000", "150000")

	cg := open(t, l, base+"/inner")
	check := func(want limits.Limit) {
		t.Helper()
		memory, err := cg.Memory()
		if err != nil || len(memory) != 2 || memory.Max() != want {
			t.Errorf("%+v, %v, want 2 levels and %v", memory, err, want)
		}
	}
	check(limits.To(64 << 20))
	set("memory", base+"/inner", "memory.max", "memory.limit_in_bytes", "16777216", "16777216")
	check(limits.To(16 << 20)) // the handle sees changes
	set("memory", base+"/inner", "memory.max", "memory.limit_in_bytes", "134217728", "134217728")
	check(limits.To(64 << 20))
	set("memory", base+"/inner", "memory.max", "memory.limit_in_bytes", "max", "-1")
	check(limits.To(64 << 20))

	cpu, err := cg.CPU()
	if err != nil {
		t.Fatal(err)
	}
	tightest, ok := cpu.Tightest()
	if n, _ := tightest.Quota.CPUs(); !ok || n != 2 || tightest.Path != base || len(cpu.Levels) != 2 {
		t.Errorf("CPU() = %+v", cpu)
	}
	// A new v1 cpuset is empty; the root's counts then.
	if !cpu.HaveEffective || cpu.Effective.IsEmpty() {
		t.Errorf("effective CPUs %q, %v", cpu.Effective, cpu.HaveEffective)
	}
}

func TestRealGone(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeCgroup(t, l, base+"/inner") // without controllers on v2: all files are missing
	cg := open(t, l, base+"/inner")
	if _, err := cg.Memory(); err != nil {
		t.Errorf("a cgroup without files: %v", err)
	}
	// What the kernel says on an interface file whose cgroup goes.
	kept, err := os.Open(dirs(t, l, base+"/inner")[0] + "/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()

	for _, dir := range dirs(t, l, base+"/inner") {
		if err := unix.Rmdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.Pread(int(kept.Fd()), make([]byte, 10), 0); !errors.Is(err, unix.ENODEV) {
		t.Errorf("reading an open file of a removed cgroup: %v, want ENODEV", err)
	}
	gone := func(when string) {
		t.Helper()
		_, memory := cg.Memory()
		_, cpu := cg.CPU()
		if !errors.Is(memory, cgroupread.ErrGone) || !errors.Is(cpu, cgroupread.ErrGone) {
			t.Errorf("%s: Memory: %v, CPU: %v, want ErrGone", when, memory, cpu)
		}
	}
	gone("removed")
	if _, err := l.Open(cg.Paths()); !errors.Is(err, cgroupread.ErrGone) {
		t.Errorf("Open: %v, want ErrGone", err)
	}
	for _, dir := range dirs(t, l, base+"/inner") {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	gone("made anew under its name")
}

// Readers while the cgroup goes and comes: each read is whole or ErrGone.
func TestGoneWhileRead(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeCgroup(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	h, err := l.Hierarchy("memory")
	if err != nil {
		t.Fatal(err)
	}
	file := "memory.limit_in_bytes"
	if h.Unified {
		file = "memory.max"
	}
	inner := dirs(t, l, base+"/inner")
	for range 100 {
		for _, dir := range inner {
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
		write(t, h.Mountpoint+base+"/inner/"+file, "16777216")
		cg := openUnclosed(t, l, base+"/inner")
		var readers sync.WaitGroup
		started := make(chan struct{}, 2)
		for range 2 {
			readers.Go(func() {
				for first := true; ; first = false {
					memory, err := cg.Memory()
					if first {
						started <- struct{}{}
					}
					if errors.Is(err, cgroupread.ErrGone) {
						return
					}
					if err != nil || memory.Max() != limits.To(16<<20) {
						t.Errorf("%+v, %v, want 16 MiB or ErrGone", memory, err)
						return
					}
				}
			})
		}
		<-started
		<-started
		for _, dir := range inner {
			if err := unix.Rmdir(dir); err != nil {
				t.Fatal(err)
			}
		}
		readers.Wait()
		if err := cg.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Names that the kernel takes: a colon, blanks, a mark as if it were deleted.
// The process is a child of the test that joins the cgroup and waits.
func TestRealNames(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	unified, err := l.Hierarchy("")
	if err != nil {
		t.Logf("no cgroup2 here: %v", err)
		unified, err = l.Hierarchy("memory")
	}
	if err != nil {
		t.Fatal(err)
	}
	path := name(t) + "/a b:c (deleted)"
	makeCgroup(t, l, path)
	dir := unified.Mountpoint + path
	child, stop := inCgroup(t, dir)
	p, err := l.OfProcess("/proc", child)
	if err != nil {
		t.Fatal(err)
	}
	controller := ""
	if !unified.Unified {
		controller = "memory"
	}
	if got, _ := p.Path(controller); got != path {
		t.Errorf("path %q, want %q", got, path)
	}
	cg, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := cg.Close(); err != nil {
		t.Error(err)
	}
	if !unified.Unified {
		stop()
		return
	}
	// A zombie stays in its cgroup2 cgroup, which can be removed then.
	if err := unix.Kill(child, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, child, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Rmdir(dir); err != nil {
		t.Fatal(err)
	}
	if p, err := l.OfProcess("/proc", child); !errors.Is(err, cgroupread.ErrGone) {
		t.Errorf("a zombie in a removed cgroup: %v, %v, want ErrGone", p, err)
	}
	stop()
	if _, err := l.OfProcess("/proc", child); !errors.Is(err, cgroupread.ErrNoProcess) {
		t.Errorf("a reaped process: %v, want ErrNoProcess", err)
	}
}

// inCgroup starts a process in a cgroup directory; stop kills and reaps it.
func inCgroup(t *testing.T, dir string) (pid int, stop func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && echo in && exec sleep 600`, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(stop)
	if n, err := out.Read(make([]byte, 10)); n == 0 {
		t.Fatalf("the child did not get into %s: %v", dir, err)
	}
	return cmd.Process.Pid, stop
}

// Inside a cgroup namespace a fresh mount's root reads "/" but is a cgroup with
// limits.
//
//	/              the true root, not in the namespace
//	└─ NAME        64 MiB; the namespace's root
//
// The test runs itself twice more: first to join the cgroup, then, as the child
// of that, in namespaces of its own.
func TestCgroupNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	switch stage, dir, _ := strings.Cut(os.Getenv(stageVariable), ":"); stage {
	case "join":
		write(t, dir+"/cgroup.procs", "0")
		runStage(t, "inside", unix.CLONE_NEWCGROUP|unix.CLONE_NEWNS)
		return
	case "inside":
		insideNamespace(t)
		return
	}
	testenv.NoLeaks(t)
	l := detectReal(t)
	path := name(t)
	makeCgroup(t, l, path)
	enable(t, l, "/")
	h, err := l.Hierarchy("memory")
	if err != nil {
		t.Fatal(err)
	}
	limit := "memory.limit_in_bytes"
	if h.Unified {
		limit = "memory.max"
	}
	write(t, h.Mountpoint+path+"/"+limit, "67108864")
	// Only memory's cgroup is joined: an empty v1 cpuset takes nobody.
	runStage(t, "join:"+h.Mountpoint+path, 0)
}

const stageVariable = "PROCFS_SHIM_TEST_STAGE"

func runStage(t *testing.T, stage string, flags uintptr) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestCgroupNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), stageVariable+"="+stage)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestCgroupNamespace") {
		t.Errorf("%s: %v\n%s", stage, err, out)
	}
}

func insideNamespace(t *testing.T) {
	outside := detectReal(t).Hierarchies()
	mount := func(source, target, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			t.Fatalf("mount %s %s: %v", target, data, err)
		}
	}
	mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	// The kernel doesn't mount a file system over itself, hence the tmpfs.
	mount("none", "/sys/fs/cgroup", "tmpfs", 0, "")
	for _, h := range outside {
		if err := os.MkdirAll(h.Mountpoint, 0o755); err != nil {
			t.Fatal(err)
		}
		if h.Unified {
			mount("none", h.Mountpoint, "cgroup2", 0, "")
			continue
		}
		options := strings.Join(h.Controllers, ",")
		if strings.HasPrefix(options, "name=") {
			options = "none," + options
		}
		mount("none", h.Mountpoint, "cgroup", 0, options)
	}

	l := detectReal(t)
	h, err := l.Hierarchy("memory")
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.OfProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if path, _ := p.Path("memory"); h.TrueRoot || h.Root != "/" || path != "/" {
		t.Errorf("hierarchy %+v, path %q", h, path)
	}
	if dir, err := l.Dir(p, "memory"); err != nil || dir != h.Mountpoint {
		t.Errorf("Dir = %q, %v", dir, err)
	}
	cg, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := cg.Memory()
	if err != nil || len(memory) != 1 || memory.Max() != limits.To(64<<20) {
		t.Errorf("%+v, %v, want one level with 64 MiB", memory, err)
	}
	if cpu, err := cg.CPU(); err != nil || !cpu.HaveEffective || cpu.Effective.IsEmpty() {
		t.Errorf("CPU() = %+v, %v", cpu, err)
	}
	if err := cg.Close(); err != nil {
		t.Error(err)
	}
}

// Files that are open when their controller is turned off, and on again.
func TestRealToggled(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireV2(t)
	testenv.NoLeaks(t)
	l := detectReal(t)
	base := name(t)
	makeCgroup(t, l, base+"/inner")
	enable(t, l, "/")
	enable(t, l, base)
	dir := dirs(t, l, base)[0]
	cg := open(t, l, base+"/inner")
	check := func(want limits.Limit) {
		t.Helper()
		for range 2 {
			if memory, err := cg.Memory(); err != nil || memory[0].Max != want {
				t.Errorf("%+v, %v, want %v", memory, err, want)
			}
		}
	}
	for range 3 {
		write(t, dir+"/inner/memory.max", "16777216")
		check(limits.To(16 << 20))
		write(t, dir+"/cgroup.subtree_control", "-memory")
		check(limits.None())
		write(t, dir+"/cgroup.subtree_control", "+memory")
		check(limits.None())
	}
}
