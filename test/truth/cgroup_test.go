// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// cgroup is a path in all hierarchies.
type cgroup struct {
	path string
	v2   bool // the host has the unified hierarchy alone
}

func cgroupAt(t *testing.T, path string) cgroup {
	t.Helper()
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	return cgroup{path, layout == "v2"}
}

// file is the path of a controller's interface file.
func (c cgroup) file(controller, name string) string {
	if c.v2 {
		controller = ""
	}
	return filepath.Join("/sys/fs/cgroup", controller, c.path, name)
}

// write changes an interface file.
func (c cgroup) write(t *testing.T, controller, name, text string) {
	t.Helper()
	if err := os.WriteFile(c.file(controller, name), []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// setQuota changes how many whole CPUs' time the cgroup may use.
func (c cgroup) setQuota(t *testing.T, cpus int) {
	t.Helper()
	const period = 100_000 // µs, as `run --cpus` sets it
	quota := strconv.Itoa(cpus * period)
	if c.v2 {
		c.write(t, "cpu", "cpu.max", quota+" "+strconv.Itoa(period))
		return
	}
	c.write(t, "cpu", "cpu.cfs_quota_us", quota)
}

// cpuTimes are a cgroup's CPU counters at one moment.
type cpuTimes struct {
	at               time.Time
	usage, throttled time.Duration
}

// cpu reads v2's cpu.stat, or v1's cpuacct.usage and cpu.stat.
func (c cgroup) cpu() (cpuTimes, error) {
	stat, err := keys(c.file("cpu", "cpu.stat"))
	if err != nil {
		return cpuTimes{}, err
	}
	now := cpuTimes{time.Now(), time.Duration(stat["usage_usec"]) * time.Microsecond, time.Duration(stat["throttled_usec"]) * time.Microsecond}
	if c.v2 {
		return now, nil
	}
	usage, err := number(c.file("cpuacct", "cpuacct.usage"))
	return cpuTimes{time.Now(), time.Duration(usage), time.Duration(stat["throttled_time"])}, err
}

// usageFile names where cpu has the usage from.
func (c cgroup) usageFile() string {
	if c.v2 {
		return c.file("cpu", "cpu.stat") + ": usage_usec"
	}
	return c.file("cpuacct", "cpuacct.usage")
}

// number reads a file that holds one.
func number(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// keys reads a file of lines "KEY VALUE".
func keys(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if values[key], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// must gives what was read, or ends the test: must(read())(t).
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// decimal parses a number in a tool's output.
func decimal(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
