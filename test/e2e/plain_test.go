// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// plain is a process that no engine started: it has a mount namespace of its
// own, as after `unshare -m`, and a cgroup that the test made.
type plain struct {
	*process
	pid    int
	cgroup *served.Cgroup
}

// newPlain starts one in the cgroup; it sleeps until its standard input ends.
func newPlain(t *testing.T, cgroup *served.Cgroup) *plain {
	t.Helper()
	cmd := exec.Command(testenv.RequireTool(t, "cat"))
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	b := &plain{process: begin(t, cmd), cgroup: cgroup}
	b.say(t, "up")
	b.expect(t, "up") // it has its namespace, and has executed
	b.pid = b.Process.Pid
	cgroup.Join(b.pid)
	return b
}

// target is how it is named on a command line.
func (b *plain) target() string { return fmt.Sprint(b.pid) }

// path is where a file of the process is for others.
func (b *plain) path(name string) string { return inside(b.pid, name) }

// inside is where a file of a process is for others.
func inside(pid int, name string) string { return fmt.Sprintf("/proc/%d/root%s", pid, name) }

// viewsOf reads what a process is shown, from outside.
func viewsOf(t *testing.T, pid int) views {
	t.Helper()
	read := func(name string) string { return readWithin(t, patience, inside(pid, name)) }
	return parseViews(t, read("/proc/meminfo")+read("/proc/cpuinfo")+"online: "+read("/sys/devices/system/cpu/online"))
}

// mountsOf is a process's table of mounts.
func mountsOf(t *testing.T, pid int) string {
	t.Helper()
	return file(t, fmt.Sprintf("/proc/%d/mountinfo", pid))
}

// actions are what `mount` or `unmount` printed: destination → what was done.
func actions(t *testing.T, out string) map[string]string {
	t.Helper()
	done := map[string]string{}
	for line := range strings.Lines(out) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(words) != 3 {
			t.Fatalf("not a name, a file and what was done: %q", line)
		}
		done[words[1]] = words[2]
	}
	return done
}

// usual are the files that are covered unless something else is said, as far as
// this host has them.
func usual() []string {
	return slices.DeleteFunc([]string{
		"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo",
		"/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/irq", "/proc/pressure/memory",
		"/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/vmstat",
		"/sys/devices/system/cpu/offline", "/sys/devices/system/cpu/online",
	}, func(path string) bool { _, err := os.Lstat(path); return err != nil })
}

// all says that the same was done to each of the usual files.
func all(action string) map[string]string {
	done := map[string]string{}
	for _, path := range usual() {
		done[path] = action
	}
	return done
}

// but is all with exceptions.
func but(action string, exceptions map[string]string) map[string]string {
	done := all(action)
	maps.Copy(done, exceptions)
	return done
}
