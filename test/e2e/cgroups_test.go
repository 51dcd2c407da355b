// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const cgroupMount = "/sys/fs/cgroup"

// onV2 tells whether the host has the unified hierarchy alone.
func onV2(t *testing.T) bool {
	t.Helper()
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	return layout == "v2"
}

// cgroupDir is the directory of a cgroup path in a controller's hierarchy.
func cgroupDir(t *testing.T, controller, path string) string {
	t.Helper()
	if onV2(t) {
		return filepath.Join(cgroupMount, path)
	}
	return filepath.Join(cgroupMount, controller, path)
}

// containerCgroup is the directory of a container's cgroup.
func containerCgroup(t *testing.T, controller, name string) string {
	t.Helper()
	return cgroupDir(t, controller, "/procfs-shim/"+name)
}

// setting is one of a cgroup's files by its name on either version.
type setting struct {
	controller, v1, v2 string
}

var (
	memoryLimit = setting{"memory", "memory.limit_in_bytes", "memory.max"}
	cpuQuota    = setting{"cpu", "cpu.cfs_quota_us", "cpu.max"}
	cpusetCPUs  = setting{"cpuset", "cpuset.cpus", "cpuset.cpus"}
)

// of gives the file in the cgroup of this path.
func (s setting) of(t *testing.T, path string) string {
	t.Helper()
	if onV2(t) {
		return filepath.Join(cgroupDir(t, s.controller, path), s.v2)
	}
	return filepath.Join(cgroupDir(t, s.controller, path), s.v1)
}

// set writes the file in a container's cgroup.
func (s setting) set(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile(s.of(t, "/procfs-shim/"+name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// limits compares files of a container's cgroup with what they should hold:
// "controller/file" → value. A file that this kernel doesn't have is left out if
// its name begins with "?".
func limits(t *testing.T, name string, want map[string]string) {
	t.Helper()
	for at, value := range want {
		at, optional := strings.CutPrefix(at, "?")
		controller, file, _ := strings.Cut(at, "/")
		text, err := os.ReadFile(filepath.Join(containerCgroup(t, controller, name), file))
		if optional && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.TrimSpace(string(text)); got != value {
			t.Errorf("%s is %q, want %q", at, got, value)
		}
	}
}

// host is what the kernel's own files say outside of any container.
func host(t *testing.T) views {
	t.Helper()
	text := file(t, "/proc/meminfo") + file(t, "/proc/cpuinfo") + "online: " + file(t, "/sys/devices/system/cpu/online")
	return parseViews(t, text)
}

// unlimited is how the memory controller's files write "no limit".
func unlimited(t *testing.T) string {
	t.Helper()
	if onV2(t) {
		return "max"
	}
	return "-1"
}
