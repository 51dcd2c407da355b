// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"slices"
	"strings"
	"testing"
)

// TestLayouts boots a machine with four CPUs for each cgroup layout, and checks
// that it is what it says.
func TestLayouts(t *testing.T) {
	const script = `
grep -c ^processor /proc/cpuinfo
cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null || ls /sys/fs/cgroup
test -c /dev/fuse && echo fuse
grep -w overlay /proc/filesystems
mount -o bind / /mnt && cd /mnt && mkdir -p old && unshare -m sh -c 'pivot_root . old && echo pivoted'
`
	for layout, want := range map[Layout][]string{
		V2:     {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"},
		Hybrid: {"cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids", "hugetlb", "systemd", "unified"},
		V1:     {"cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids", "hugetlb", "systemd"},
	} {
		t.Run(string(layout), func(t *testing.T) {
			out := Run(t, Config{CPUs: 4, Cgroups: layout, Script: script})
			words := strings.Fields(out.Text)
			if len(words) == 0 || words[0] != "4" {
				t.Errorf("the machine hasn't 4 CPUs:\n%s", out.Text)
			}
			for _, word := range append(want, "fuse", "overlay", "pivoted") {
				if !slices.Contains(words, word) {
					t.Errorf("no %s in the machine:\n%s", word, out.Text)
				}
			}
			if layout == V1 && slices.Contains(words, "unified") {
				t.Errorf("a v1 machine with a unified hierarchy:\n%s", out.Text)
			}
		})
	}
}

// TestGuestTests runs the tests of testenv, which needs nothing else of the
// program, on a v2 host.
func TestGuestTests(t *testing.T) {
	RunTests(t, Config{}, "test/testenv")
}
