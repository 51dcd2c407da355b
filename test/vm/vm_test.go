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

// TestToolsRoot boots a machine whose root is the disk with the distribution's
// tools, beside an empty disk.
func TestToolsRoot(t *testing.T) {
	const script = `
for tool in top vmstat free ps uptime mpstat iostat lscpu htop tmux python3 prometheus-node-exporter; do
	command -v $tool >/dev/null || { echo "no $tool"; exit 1; }
done
python3 -c 'import psutil; print(psutil.cpu_count())'
awk '$2 == "/" { print $1, $3 }' /proc/mounts
mke2fs -q /dev/vda && echo empty
`
	image := Tools(t)
	out := Run(t, Config{CPUs: 3, DiskMB: 16, Root: image, Script: script})
	if want := "3\n/dev/vdb ext4\nempty\n"; out.Text != want {
		t.Errorf("it printed %q, want %q", out.Text, want)
	}
	if again := Tools(t); again != image {
		t.Errorf("the image was made twice: %s and %s", image, again)
	}
}
