// SPDX-License-Identifier: Apache-2.0

//go:build vm || vmslow

package vm

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// mainJob is the command that the README opens with, and one with half a CPU
// more.
const mainJob = `
show='grep MemTotal /proc/meminfo; grep -c ^processor /proc/cpuinfo'
procfs-shim run --memory 256m --cpus 1 --rootfs / -- sh -c "$show" || exit 10
procfs-shim run --memory 256m --cpus 1.5 --rootfs / -- sh -c "$show" || exit 11
`

// TestRun does the main job on each kind of host.
func TestRun(t *testing.T) {
	want := []string{"MemTotal:", "262144", "kB", "1", "MemTotal:", "262144", "kB", "2"}
	for _, layout := range []Layout{V2, Hybrid, V1} {
		t.Run(string(layout), func(t *testing.T) {
			out := Run(t, Program(t, Config{CPUs: 4, Cgroups: layout, Script: mainJob}))
			if got := strings.Fields(out.Text); !slices.Equal(got, want) {
				t.Errorf("it printed %q", out.Text)
			}
		})
	}
}

// levels runs two containers, a and b, and prints lines "NAME VALUE": what b
// sees while the limits of the cgroups above it and its sibling's usage change.
//
//	/sys/fs/cgroup
//	└── …               no limits
//	    └── parent      memory none → 192M → none, cpu none → 1 CPU → none
//	        ├── a       memory 200M, uses 0 → 96M
//	        └── b       memory 256M, 3 CPUs
const levels = `
procfs-shim run --memory 200m --cpus 3 --rootfs / -- sleep 301 &
procfs-shim run --memory 256m --cpus 3 --rootfs / -- sleep 302 &
# The init of a container: the process whose command line ends like this, in a
# PID namespace of its own.
init_of() {
	for try in $(seq 50); do
		for dir in /proc/[0-9]*; do
			grep -q '^NSpid:.*	1$' $dir/status 2>/dev/null || continue
			tr '\0' ' ' <$dir/cmdline | grep -q -- "$1" && echo ${dir#/proc/} && return
		done
		usleep 100000
	done
}
a=$(init_of 'sleep 301') b=$(init_of 'sleep 302')
[ -n "$a" ] && [ -n "$b" ] || exit 12
dir=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$b/cgroup)
parent=$(dirname $dir)
[ "$parent" != /sys/fs/cgroup ] || exit 13
in_b() { nsenter -t $b -m -- "$@"; }
memory() { in_b awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo; }
cpus() { in_b grep -c ^processor /proc/cpuinfo; }
say() { usleep 50000; echo "$1 $($2 $3)"; }

say total memory MemTotal
say cpus cpus
echo 192M >$parent/memory.max
say total-under-192M memory MemTotal
say free-before memory MemFree
echo 100000 100000 >$parent/cpu.max
say cpus-under-1 cpus
# The sibling uses memory: the parent's limit is used up by both.
sibling=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$a/cgroup)
(echo $(exec sh -c 'echo $PPID') >$sibling/cgroup.procs && dd if=/dev/zero of=/dev/shm/hold bs=1M count=96 2>/dev/null)
say free-sibling-96M memory MemFree
echo max >$parent/memory.max
echo max >$parent/cpu.max
say total-again memory MemTotal
say free-again memory MemFree
say cpus-again cpus
rm /dev/shm/hold
kill -KILL $a $b
wait
`

// TestLevels reads a container whose limits lie at several levels, beside a
// sibling that uses memory.
func TestLevels(t *testing.T) {
	out := Run(t, Program(t, Config{CPUs: 4, Script: levels}))
	got := numbers(t, out.Text)
	for name, want := range map[string]int{
		"total": 262144, "cpus": 3,
		"total-under-192M": 196608, "cpus-under-1": 1,
		"total-again": 262144, "cpus-again": 3,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
	// kB; the containers' own few MB are in each of them.
	const hold, slack = 96 << 10, 8 << 10
	if taken := got["free-before"] - got["free-sibling-96M"]; taken < hold-slack || taken > hold+slack {
		t.Errorf("the sibling took %d kB, and %d less are free under the common limit", hold, taken)
	}
	if got["free-before"] > 196608 || got["free-before"] < 196608-2*slack {
		t.Errorf("%d kB free of 196608 while nobody uses any", got["free-before"])
	}
	if got["free-again"] < 262144-slack {
		t.Errorf("%d kB free of 262144 while only the sibling uses some, without a common limit", got["free-again"])
	}
}

// numbers parses lines "NAME VALUE".
func numbers(t *testing.T, text string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatalf("%q is no name and number in:\n%s", line, text)
		}
		got[name] = n
	}
	return got
}

// fullCache fills the host's page cache from a disk and shows what is free on
// the host and in an idle container.
const fullCache = `
mke2fs /dev/vda >/dev/null && mkdir -p /disk && mount -t ext4 /dev/vda /disk || exit 10
dd if=/dev/zero of=/disk/file bs=1M count=700 2>/dev/null
cat /disk/file >/dev/null
field() { awk -v key="$2:" -v name="$1" '$1 == key { print name, $2 }' /proc/meminfo; }
field host-total MemTotal
field host-free MemFree
field host-available MemAvailable
procfs-shim run --memory 256m --rootfs / -- sh -c '
for key in MemTotal MemFree MemAvailable Buffers Cached SReclaimable; do
	sed -n "s/^$key: *\([0-9]*\) kB/$key \1/p" /proc/meminfo
done'
`

// TestFullPageCache looks at an idle container on a host that has no free
// memory, only memory that it could free: little of the container's is used.
func TestFullPageCache(t *testing.T) {
	out := Run(t, Program(t, Config{MemoryMB: 768, DiskMB: 1024, Script: fullCache, Timeout: 4 * time.Minute}))
	got := numbers(t, out.Text)
	if got["host-free"] > 256<<10 {
		t.Fatalf("the page cache isn't full: %v", got)
	}
	if got["MemTotal"] != 262144 {
		t.Errorf("MemTotal is %d kB", got["MemTotal"])
	}
	// As free(1) reckons it.
	used := got["MemTotal"] - got["MemFree"] - got["Buffers"] - got["Cached"] - got["SReclaimable"]
	if used < 0 || used > 16<<10 {
		t.Errorf("an idle container uses %d kB: %v", used, got)
	}
	if got["MemFree"] < 200<<10 || got["MemFree"] > got["host-available"] {
		t.Errorf("%d kB are free of an idle container's 262144, the host has %d free and %d available",
			got["MemFree"], got["host-free"], got["host-available"])
	}
}

// TestEndToEnd runs the module's end-to-end tests on a v2 host.
func TestEndToEnd(t *testing.T) {
	list, err := exec.Command(filepath.Join(testenv.ModuleRoot(t), "scripts", "tagged-packages"), "e2e").Output()
	if err != nil {
		t.Fatal(err)
	}
	// The guest has no engines; faults depend on the calls and not on the kernel
	// that takes them; the others start more containers than emulated CPUs can in
	// the time of a build: `make test-vm-slow` runs them.
	elsewhere := append([]string{
		"./test/engines", "./test/inject", "./test/testenv", nestedPackage, truthPackage,
		"./test/comparison", "./fusefs/nullfs", // with engines, and about our source
	}, slowPackages()...)
	var packages []string
	for name := range strings.FieldsSeq(string(list)) {
		if !slices.Contains(elsewhere, name) {
			packages = append(packages, strings.TrimPrefix(name, "./"))
		}
	}
	RunTests(t, Config{MemoryMB: 3072, Timeout: 20 * time.Minute}, packages...)
}

// TestNested runs test/nested on a v2 host of four CPUs.
func TestNested(t *testing.T) { withTools(t, nestedPackage) }

// withTools runs a package that needs a distribution's tools, on a v2 host whose
// root file system is a disk.
func withTools(t *testing.T, name string) {
	t.Helper()
	RunTests(t, Config{CPUs: 4, MemoryMB: 2048, Root: Tools(t), Timeout: 20 * time.Minute}, strings.TrimPrefix(name, "./"))
}

// Packages that need tools.
const (
	nestedPackage = "./test/nested"
	truthPackage  = "./test/truth" // of TestSlowEndToEndTruth
)

// slowPackages are those of TestSlowEndToEnd.
func slowPackages() []string {
	return []string{"./runtime/container", "./test/conformance", "./test/e2e"}
}
