// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
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

// all says that the same was done to each file that is covered by default.
func all(action string) map[string]string {
	return map[string]string{"/proc/meminfo": action, "/proc/cpuinfo": action, "/sys/devices/system/cpu/online": action}
}
