// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const mib = 1 << 20

// does runs a command and compares what it did to each file.
func (p *program) does(t *testing.T, want map[string]string, args ...string) result {
	t.Helper()
	r := p.do(t, args...)
	if got := actions(t, r.text(t)+"\n"); !maps.Equal(got, want) {
		t.Errorf("%v: done: %v, want %v", args, got, want)
	}
	return r
}

// TestMount covers and uncovers the files of a process that nobody prepared.
func TestMount(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	p.serve(t)
	cgroup := served.NewCgroup(t, "plain")
	cgroup.SetMemory(96 * mib)
	cgroup.SetCPUs(1)
	b := newPlain(t, cgroup)
	kernel := host(t)
	own := views{98304, "0", "0"}
	untouched := mountsOf(t, b.pid)
	sees := func(when string, want views) {
		t.Helper()
		if got := viewsOf(t, b.pid); got != want {
			t.Errorf("%s it sees %+v, want %+v", when, got, want)
		}
	}
	sees("at first", kernel)

	p.does(t, all("would be covered"), "mount", "--dry-run", b.target())
	if got := mountsOf(t, b.pid); got != untouched {
		t.Errorf("--dry-run changed the mounts to\n%s", got)
	}

	p.does(t, all("placed"), "mount", b.target())
	sees("after mount", own)
	covered := mountsOf(t, b.pid)
	p.does(t, all("unchanged"), "mount", b.target())
	if got := mountsOf(t, b.pid); got != covered {
		t.Errorf("the second mount changed the mounts from\n%s\nto\n%s", covered, got)
	}
	sees("after the second mount", own)
	if c := p.statusOf(t, "pid-"+b.target()); c.State != "healthy" || c.InitPID != b.pid || len(c.Files) != len(usual()) {
		t.Errorf("status: %+v", c)
	}

	// Single files.
	p.does(t, map[string]string{"/proc/meminfo": "removed"}, "unmount", b.target(), "--file", "meminfo")
	sees("without meminfo", views{kernel.memTotal, own.cpus, own.online})
	p.does(t, map[string]string{"/proc/cpuinfo": "removed", "/sys/devices/system/cpu/online": "removed"},
		"umount", "--file", "cpu/online", "--file", "cpuinfo", b.target())
	sees("after unmount", kernel)
	p.does(t, map[string]string{"/sys/devices/system/cpu/online": "placed"}, "mount", "--file", "cpu/online", b.target())
	sees("with online alone", views{kernel.memTotal, kernel.cpus, own.online})

	p.does(t, but("removed", map[string]string{"/proc/meminfo": "unchanged", "/proc/cpuinfo": "unchanged"}), "unmount", b.target())
	if got := mountsOf(t, b.pid); got != untouched {
		t.Errorf("the mounts are now\n%s\nwere\n%s", got, untouched)
	}
	p.does(t, all("unchanged"), "unmount", b.target())
	sees("in the end", kernel)
}

// TestMountCgroup names the process by its cgroup's path, in both ways.
func TestMountCgroup(t *testing.T) {
	p := setup(t)
	p.serve(t)
	cgroup := served.NewCgroup(t, "by-path")
	cgroup.SetMemory(96 * mib)
	b := newPlain(t, cgroup)
	p.does(t, all("placed"), "mount", cgroup.Path)
	if got := viewsOf(t, b.pid).memTotal; got != 98304 {
		t.Errorf("it sees %d kB", got)
	}
	p.does(t, all("unchanged"), "mount", cgroupDir(t, "memory", cgroup.Path))
	p.does(t, all("removed"), "unmount", cgroup.Path)
	p.do(t, "mount", cgroup.Path+"/below").refused(t, 1, cgroup.Path+"/below")
	p.do(t, "mount", "/").refused(t, 1, "/", "whole host")
}

// TestMountContainer takes the views of containers of `run`, gives them back,
// and moves them to a daemon that came later.
func TestMountContainer(t *testing.T) {
	p := setup(t)
	first := p.shell(t, "before-daemon", "--memory", "64m")
	p.serve(t)
	second := p.shell(t, "after-daemon", "--memory", "128m")
	kernel := host(t).memTotal
	sees := func(s *shell, want int) {
		t.Helper()
		if got := s.views(t).memTotal; got != want {
			t.Errorf("%s sees %d kB, want %d", s.name, got, want)
		}
	}
	// What serves well stays.
	p.does(t, all("unchanged"), "mount", second.name)
	sees(second, 131072)
	p.does(t, all("removed"), "unmount", first.name)
	sees(first, kernel)
	if c := p.statusOf(t, first.name); c.State != "uncovered" || len(c.Files) != 0 {
		t.Errorf("status after unmount: %+v", c)
	}
	p.does(t, all("placed"), "mount", first.name)
	sees(first, 65536)
	p.does(t, all("removed"), "unmount", second.name)
	sees(second, kernel)
	p.does(t, all("placed"), "mount", fmt.Sprint(p.statusOf(t, second.name).InitPID))
	sees(second, 131072)
	for _, c := range p.status(t).Containers {
		if c.State != "healthy" || c.NestingLost {
			t.Errorf("status: %+v", c)
		}
	}
	// Masks are as they were.
	if got := first.ask(t, showMasked); got != "" {
		t.Errorf("masked paths show %q", got)
	}
	first.leave(t)
	second.leave(t)
}

// TestMountAfterCrash: the files of a killed daemon are errors, never the
// host's, are shown as stale, and are replaced through the next daemon.
func TestMountAfterCrash(t *testing.T) {
	p := setup(t)
	s := p.serve(t)
	cgroup := served.NewCgroup(t, "crash")
	cgroup.SetMemory(96 * mib)
	b := newPlain(t, cgroup)
	p.do(t, "mount", b.target()).text(t)
	container := p.shell(t, "crashed", "--memory", "64m")
	pid := p.statusOf(t, container.name).InitPID
	s.signal(t, unix.SIGKILL)
	s.wait(t)
	for _, path := range []string{b.path("/proc/meminfo"), inside(pid, "/proc/cpuinfo")} {
		if _, err := os.ReadFile(path); !errors.Is(err, unix.ENOTCONN) {
			t.Errorf("%s after the daemon was killed: %v, want ENOTCONN", path, err)
		}
	}
	// The container lives, whoever serves it.
	container.ask(t, "true")
	if c := p.statusOf(t, container.name); c.State != "stale" {
		t.Errorf("status without a daemon: %+v", c)
	}
	p.serve(t)
	if c := p.statusOf(t, container.name); c.State != "stale" {
		t.Errorf("status before mount: %+v", c)
	}
	p.does(t, all("replaced"), "mount", container.name)
	p.does(t, all("replaced"), "mount", b.target())
	if got := container.views(t).memTotal; got != 65536 {
		t.Errorf("the container sees %d kB", got)
	}
	if got := viewsOf(t, b.pid).memTotal; got != 98304 {
		t.Errorf("the process sees %d kB", got)
	}
	if c := p.statusOf(t, container.name); c.State != "healthy" {
		t.Errorf("status after mount: %+v", c)
	}
	p.does(t, all("unchanged"), "mount", container.name)
	container.leave(t)
}
