// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const mib = 1 << 20

// memory gives a field of a meminfo, in bytes.
func memory(t *testing.T, text, field string) int64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return number(t, strings.Fields(rest)[0]) << 10
		}
	}
	t.Fatalf("no %s in:\n%s", field, text)
	return 0
}

// wantTotal checks what somebody is shown as MemTotal.
func wantTotal(t *testing.T, who, meminfo string, want int64) {
	t.Helper()
	if got := memory(t, meminfo, "MemTotal"); got != want {
		t.Errorf("%s sees a MemTotal of %d KiB, want %d", who, got>>10, want>>10)
	}
}

// busy gives the user and system time of all CPUs that a stat has.
func busy(t *testing.T, stat string) time.Duration {
	t.Helper()
	line, _, _ := strings.Cut(stat, "\n")
	columns := strings.Fields(line)
	if len(columns) < 5 || columns[0] != "cpu" {
		t.Fatalf("no cpu line in front of:\n%s", stat)
	}
	const user, system = 1, 3
	const tick = time.Second / 100
	return time.Duration(number(t, columns[user])+number(t, columns[system])) * tick
}

// load is what a loadavg ends with.
type load struct{ running, all, last int64 }

func loadOf(t *testing.T, loadavg string) load {
	t.Helper()
	words := strings.Fields(loadavg)
	if len(words) != 5 {
		t.Fatalf("not a loadavg: %q", loadavg)
	}
	running, all, _ := strings.Cut(words[3], "/")
	return load{number(t, running), number(t, all), number(t, words[4])}
}

// up is the first field of an uptime.
func up(t *testing.T, uptime string) time.Duration {
	t.Helper()
	words := strings.Fields(uptime)
	if len(words) != 2 {
		t.Fatalf("not an uptime: %q", uptime)
	}
	seconds, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// few are the tasks of a script, which come and go between two looks.
const few = 4

// taskCount is how many tasks a cgroup has that has none below it.
func taskCount(t *testing.T, cg *served.Cgroup) int64 {
	t.Helper()
	return int64(len(strings.Fields(counter(t, cg, "memory", "tasks", "cgroup.threads"))))
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// onV2 tells whether the host has the unified hierarchy alone.
func onV2(t *testing.T) bool {
	t.Helper()
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	return layout == "v2"
}

// counter reads a cgroup's interface file of either version: its name in a
// controller's v1 hierarchy, and its name on v2.
func counter(t *testing.T, cg *served.Cgroup, controller, v1, v2 string) string {
	t.Helper()
	path := filepath.Join("/sys/fs/cgroup", controller, cg.Path, v1)
	if onV2(t) {
		path = filepath.Join("/sys/fs/cgroup", cg.Path, v2)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// memoryUsage is what the kernel charges to a cgroup, in bytes.
func memoryUsage(t *testing.T, cg *served.Cgroup) int64 {
	t.Helper()
	return number(t, counter(t, cg, "memory", "memory.usage_in_bytes", "memory.current"))
}

// cpuUsage is the CPU time that the kernel charges to a cgroup.
func cpuUsage(t *testing.T, cg *served.Cgroup) time.Duration {
	t.Helper()
	text := counter(t, cg, "cpuacct", "cpuacct.usage", "cpu.stat") // ns; or lines, of µs
	if onV2(t) {
		rest, _ := strings.CutPrefix(text, "usage_usec ")
		line, _, _ := strings.Cut(rest, "\n")
		return time.Duration(number(t, line)) * time.Microsecond
	}
	return time.Duration(number(t, text))
}
