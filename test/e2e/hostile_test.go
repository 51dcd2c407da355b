// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// writeLimit writes a memory limit as text.
func writeLimit(t *testing.T, c *served.Cgroup, text string) error {
	t.Helper()
	return os.WriteFile(memoryLimit.of(t, c.Path), []byte(text), 0)
}

// TestLimitsOfAllSizes writes the smallest, the largest and ordinary limits into
// a cgroup's file while readers read:
//
//	/
//	└── …-sizes   memory 0, 4096, 64 MiB, 2^63, none; a process that uses nothing of it
func TestLimitsOfAllSizes(t *testing.T) {
	p := setup(t)
	p.serve(t)
	cgroup := served.NewCgroup(t, "sizes")
	// It was charged for what it has before it came here, and only sleeps now.
	b := newPlain(t, cgroup)
	p.do(t, "mount", b.target()).text(t)
	kernel := host(t).memTotal
	// What a limit is shown as, in kB.
	shown := map[string]int{"0": 4, "4096": 4, "67108864": 65536, "9223372036854775808": kernel, unlimited(t): kernel}
	lines := strings.Count(file(t, "/proc/meminfo"), "\n")
	correct := func(text string) error {
		if n := strings.Count(text, "\n"); n != lines || !strings.HasSuffix(text, "\n") {
			return fmt.Errorf("%d lines, the kernel's has %d:\n%s", n, lines, text)
		}
		var total, free, available int
		if _, err := fmt.Sscanf(text, "MemTotal: %d kB\nMemFree: %d kB\nMemAvailable: %d kB\n", &total, &free, &available); err != nil {
			return fmt.Errorf("%w:\n%s", err, text)
		}
		if free > total || available > total {
			return fmt.Errorf("%d kB, %d free, %d available", total, free, available)
		}
		for _, want := range shown {
			if total == want {
				return nil
			}
		}
		return fmt.Errorf("%d kB were never a limit", total)
	}

	var reads atomic.Int64
	stop := make(chan struct{})
	failed := make(chan error, 4)
	var readers sync.WaitGroup
	for range cap(failed) {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				text, err := os.ReadFile(b.path("/proc/meminfo"))
				if err == nil {
					err = correct(string(text))
				}
				if err != nil {
					failed <- err
					return
				}
				reads.Add(1)
			}
		})
	}
	for range 5 {
		for limit, want := range shown {
			if err := writeLimit(t, cgroup, limit); err != nil {
				t.Errorf("limit %s: %v", limit, err)
				continue
			}
			var got int
			if _, ok := poll(second(), func() bool {
				got = memTotal(t, readWithin(t, patience, b.path("/proc/meminfo")))
				return got == want
			}); !ok {
				t.Errorf("a limit of %s is shown as %d kB, want %d", limit, got, want)
			}
		}
	}
	until(t, patience, "reads", func() bool { return reads.Load() > 200 || len(failed) > 0 })
	close(stop)
	readers.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	t.Logf("%d reads", reads.Load())
}

// TestLevels looks at one container below a common limit:
//
//	/                       no limits
//	└── …-parent            memory none → 64 MiB → none, CPUs none → 1 → none
//	    ├── container       memory 96 MiB, a process in it that is read
//	    └── sibling         no limit, uses 0 → 24 MiB
func TestLevels(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	p.serve(t)
	parent := served.NewCgroup(t, "parent")
	container, sibling := parent.Child("container"), parent.Child("sibling")
	container.SetMemory(96 * mib)
	b := newPlain(t, container)
	p.do(t, "mount", b.target()).text(t)
	kernel := host(t)
	value := func(key string) int {
		t.Helper()
		text := readWithin(t, patience, b.path("/proc/meminfo"))
		return number(t, strings.TrimSuffix(lineOf(t, text, key+":"), " kB"))
	}
	sees := func(when string, want views) {
		t.Helper()
		var got views
		if _, ok := poll(second(), func() bool { got = viewsOf(t, b.pid); return got == want }); !ok {
			t.Errorf("%s it sees %+v, want %+v", when, got, want)
		}
	}
	sees("by its own limit", views{98304, kernel.cpus, kernel.online})
	parent.SetMemory(64 * mib)
	parent.SetCPUs(1)
	sees("by its parent's", views{65536, "0", "0"})
	free := value("MemFree")
	if free > 65536 || free < 65536-8192 {
		t.Errorf("%d kB are free of 65536 that nobody uses", free)
	}

	// The sibling's usage counts against the common limit.
	const held = 24 * mib
	h := begin(t, exec.Command("/proc/self/exe", partHold, fmt.Sprint(held)))
	sibling.Join(h.Process.Pid)
	h.say(t, "go")
	h.expect(t, fmt.Sprint("holding ", held))
	for _, key := range []string{"MemFree", "MemAvailable"} {
		if got := value(key); got > 65536-held/1024 || got < 65536-held/1024-8192 {
			t.Errorf("%s is %d kB while the sibling holds %d of 65536", key, got, held/1024)
		}
	}
	if got := value("AnonPages"); got > 8192 {
		t.Errorf("the sibling's memory is shown as its own: AnonPages %d kB", got)
	}
	h.say(t, "enough")
	h.wait(t)
	until(t, patience, "the memory is free again", func() bool { return value("MemFree") > 65536-8192 })

	parent.SetCPUs(float64(len(fields(kernel.cpus))))
	if err := writeLimit(t, parent, unlimited(t)); err != nil {
		t.Fatal(err)
	}
	sees("by its own limit again", views{98304, kernel.cpus, kernel.online})
}

// TestCgroupGone removes the cgroup under a reader, and moves the process to
// another one:
//
//	/
//	├── …-first     memory 64 MiB; removed while its process is read
//	└── …-second    memory 128 MiB; where the process went
func TestCgroupGone(t *testing.T) {
	p := setup(t)
	s := p.serve(t)
	first, second := served.NewCgroup(t, "first"), served.NewCgroup(t, "second")
	first.SetMemory(64 * mib)
	second.SetMemory(128 * mib)
	b := newPlain(t, first)
	p.do(t, "mount", b.target()).text(t)
	read := func() (kB int, err error) {
		text, err := os.ReadFile(b.path("/proc/meminfo"))
		if err == nil {
			_, err = fmt.Sscanf(string(text), "MemTotal: %d kB", &kB)
		}
		return kB, err
	}
	if got, err := read(); err != nil || got != 65536 {
		t.Errorf("at first: %d kB, %v", got, err)
	}
	// Somebody reads all the time: the last good numbers, or an error; never the
	// host's.
	stop, failed := make(chan struct{}), make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			if got, err := read(); err == nil && got != 65536 || err != nil && !errors.Is(err, unix.EIO) {
				failed <- fmt.Errorf("its cgroup goes: %d kB, %w", got, err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	second.Join(b.pid)
	first.Remove()
	for range 20 {
		if got, err := read(); err == nil && got != 65536 || err != nil && !errors.Is(err, unix.EIO) {
			t.Errorf("its cgroup is gone: %d kB, %v", got, err)
		}
	}
	close(stop)
	reader.Wait()
	select {
	case err := <-failed:
		t.Error(err)
	default:
	}
	p.does(t, all("replaced"), "mount", b.target())
	if got, err := read(); err != nil || got != 131072 {
		t.Errorf("mounted anew: %d kB, %v", got, err)
	}
	readWithin(t, patience, s.mountpoint+"/proc/meminfo")
}

// TestContainerCgroupGone takes everything out of a container's cgroup and
// removes it, as a process with rights over the host might: the container is
// read and ends all the same.
func TestContainerCgroupGone(t *testing.T) {
	p := setup(t)
	c := p.shell(t, "robbed", "--memory", "64m")
	pid := p.statusOf(t, c.name).InitPID
	elsewhere := served.NewCgroup(t, "elsewhere")
	elsewhere.Join(pid)
	dir := containerCgroup(t, "memory", c.name)
	until(t, patience, "the cgroup is removed", func() bool {
		err := os.Remove(dir)
		return err == nil || errors.Is(err, os.ErrNotExist)
	})
	for range 20 {
		text, err := os.ReadFile(inside(pid, "/proc/meminfo"))
		if err == nil && memTotal(t, string(text)) != 65536 || err != nil && !errors.Is(err, unix.EIO) {
			t.Fatalf("its cgroup is gone: %.40q, %v", text, err)
		}
	}
	c.in.Close()
	if status := c.wait(t); status != 0 {
		t.Errorf("exit status %d; stderr: %s", status, c.errs.String())
	}
}

// TestManyOpens leaves 10,000 descriptors open in a container, below a server
// of its own and below a daemon; on an emulated machine, which would take
// minutes, 1,000.
func TestManyOpens(t *testing.T) {
	p := setup(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	many := "10000"
	if testenv.InGuest() {
		many = "1000"
	}
	for _, who := range []string{"own server", "daemon"} {
		if who == "daemon" {
			p.serve(t)
		}
		name := "many-" + fields(who)[0]
		b := p.start(t, "run", "-i", "--name", name, "--memory", "256m", "-v", self+":"+toolPath+":ro", "--rootfs", "/",
			"--", toolPath, partOpenMany, "/proc/meminfo", many)
		b.expect(t, "open "+many)
		pid := p.statusOf(t, name).InitPID
		for range 20 {
			if got := memTotal(t, readWithin(t, patience, inside(pid, "/proc/meminfo"))); got != 262144 {
				t.Errorf("%s: %d kB beside %s descriptors", who, got, many)
			}
		}
		b.in.Close()
		if status := b.wait(t); status != 0 {
			t.Errorf("%s: exit status %d; stderr: %s", who, status, b.errs.String())
		}
	}
	if !p.status(t).ServerRunning {
		t.Error("the daemon didn't survive")
	}
}

// TestManyContainers starts several at once.
func TestManyContainers(t *testing.T) {
	p := setup(t)
	const n = 6
	results := make([]result, n)
	var all sync.WaitGroup
	for i := range n {
		cmd := p.command("run", "--memory", fmt.Sprint((i+8)<<20), "--rootfs", box(t), "--", "grep", "MemTotal", "/proc/meminfo")
		all.Go(func() {
			out, err := cmd.Output()
			results[i] = result{out: string(out), err: fmt.Sprint(err)}
		})
	}
	all.Wait()
	for i, r := range results {
		if r.err != "<nil>" || memTotal(t, r.out) != (i+8)<<10 {
			t.Errorf("container %d: %q, %s", i, r.out, r.err)
		}
	}
}

// TestOfflineCPU takes a CPU away from a running container's cpuset.
func TestOfflineCPU(t *testing.T) {
	testenv.RequireGuest(t, "takes a CPU offline")
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	all := host(t)
	last := fields(all.cpus)[len(fields(all.cpus))-1]
	s := p.shell(t, "offline", "--cpuset-cpus", all.online)
	sees := func(what string, want views) {
		t.Helper()
		var got views
		if _, ok := poll(second(), func() bool { got = s.views(t); return got == want }); !ok {
			t.Errorf("%s: it sees %+v, want %+v", what, got, want)
		}
	}
	sees("at first", all)
	control := "/sys/devices/system/cpu/cpu" + last + "/online"
	if err := os.WriteFile(control, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(control, []byte("1"), 0); err != nil {
			t.Error(err)
		}
	})
	sees("without CPU "+last, host(t))
	p.run(t, "--cpuset-cpus", last, "--", "true").refused(t, 125, "--cpuset-cpus: "+last, "not available")
	p.run(t, "--cpus", fmt.Sprint(len(fields(all.cpus))), "--", "true").refused(t, 125, "--cpus", "CPUs of this host")
	s.leave(t)
}
