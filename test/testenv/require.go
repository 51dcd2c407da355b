// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// GuestVariable is set in the environment of tests that run inside the virtual
// machine of package vm; its value names the kernel's cgroup layout there.
const GuestVariable = "PROCFS_SHIM_TEST_GUEST"

// InGuest reports whether the test runs inside package vm's virtual machine,
// which has busybox, the program and the test, and other tools only if its root
// file system is made with them (vm.Tools).
func InGuest() bool { return os.Getenv(GuestVariable) != "" }

// shut ends the test at a gate: as a failure where the ability was promised, as
// a skip with its reason elsewhere.
func shut(t testing.TB, need string, cause error) {
	t.Helper()
	if demanded && goruntime.GOOS == "linux" {
		t.Fatalf("testenv: needs %s, which a machine that runs e2e tests must have: %v", need, cause)
	}
	t.Skipf("testenv: needs %s: %v", need, cause)
}

// other skips a test that is made for another kind of host than this one.
func other(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Skipf("testenv: "+format, args...)
}

// RequireRoot lets the test pass on as user 0 with CAP_SYS_ADMIN only.
func RequireRoot(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		shut(t, "root", fmt.Errorf("the effective uid is %d", uid))
	}
	// Root of a container without CAP_SYS_ADMIN can neither mount nor unshare.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		shut(t, "root", fmt.Errorf("capget: %w", err))
	}
	if data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		shut(t, "root", errors.New("CAP_SYS_ADMIN is not effective"))
	}
}

// RequireFUSE needs root and a kernel that can mount FUSE file systems.
func RequireFUSE(t testing.TB) {
	t.Helper()
	RequireRoot(t)
	// O_RDWR as a server would: a node without its driver gives ENODEV or
	// ENXIO only when it is opened.
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		shut(t, "FUSE", fmt.Errorf("open /dev/fuse: %w", err))
	}
	if err := unix.Close(fd); err != nil {
		t.Fatalf("testenv: close /dev/fuse: %v", err)
	}
}

// RequireOverlay needs root and the overlay file system.
func RequireOverlay(t testing.TB) {
	t.Helper()
	RequireRoot(t)
	list, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		shut(t, "overlayfs", err)
	}
	if !slices.Contains(strings.Fields(string(list)), "overlay") {
		// A module is loaded by the first mount of its type, as mount(8) does.
		if out, err := exec.Command("modprobe", "overlay").CombinedOutput(); err != nil {
			shut(t, "overlayfs", fmt.Errorf("not in /proc/filesystems; modprobe overlay: %w: %s", err, out))
		}
	}
}

// CgroupLayout tells how this host mounts its cgroup hierarchies: "v2" when
// /sys/fs/cgroup is the unified hierarchy, "hybrid" when version 1 controllers
// stand beside a unified one at /sys/fs/cgroup/unified, else "v1". The test
// infrastructure asks statfs(2) itself, so that a fault in the program's own
// detection can't choose which of its tests run.
func CgroupLayout() (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return "", fmt.Errorf("statfs /sys/fs/cgroup: %w", err)
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return "v2", nil
	}
	if err := unix.Statfs("/sys/fs/cgroup/unified", &fs); err == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return "hybrid", nil
	}
	return "v1", nil
}

// RequireV1 needs version 1 controllers (a v1 or a hybrid host) and root.
func RequireV1(t testing.TB) {
	t.Helper()
	RequireRoot(t)
	layout, err := CgroupLayout()
	if err != nil {
		shut(t, "cgroup v1", err)
	}
	if layout == "v2" {
		other(t, "a test of cgroup v1; this host has v2")
	}
}

// RequireV2 needs a host with the unified hierarchy alone, and root.
func RequireV2(t testing.TB) {
	t.Helper()
	RequireRoot(t)
	layout, err := CgroupLayout()
	if err != nil {
		shut(t, "cgroup v2", err)
	}
	if layout != "v2" {
		other(t, "a test of cgroup v2; this host has %s (make test-vm runs it on v2)", layout)
	}
}

// RequireTool returns the path of a program that scripts/install-test-deps
// installs. Inside the virtual machine a missing one is a skip: nothing is
// installed there.
func RequireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	// /usr/sbin is not in every user's PATH, and dockerd lives there.
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path
		}
	}
	if InGuest() {
		other(t, "%s is not on the test kernel's guest", name)
	}
	shut(t, name, fmt.Errorf("%w (scripts/install-test-deps installs it)", err))
	return ""
}

// RequireCPUs needs at least n CPUs that this process may run on; fewer is a
// property of the machine, so it is a skip.
func RequireCPUs(t testing.TB, n int) {
	t.Helper()
	if have := goruntime.NumCPU(); have < n {
		other(t, "needs %d CPUs, this host has %d", n, have)
	}
}

// RequireKernel needs Linux major.minor or newer for what feature names; an
// older one is a skip.
func RequireKernel(t testing.TB, major, minor int, feature string) {
	t.Helper()
	have := kernel()
	if have == [2]int{} {
		shut(t, feature, errors.New("uname(2) gives no version"))
	}
	if have[0] < major || have[0] == major && have[1] < minor {
		other(t, "%s needs Linux %d.%d, this is %d.%d", feature, major, minor, have[0], have[1])
	}
}

// kernel gives the running kernel's first two version numbers, zeros when
// uname(2) fails or its release has another form.
func kernel() [2]int {
	var name unix.Utsname
	var version [2]int
	if err := unix.Uname(&name); err != nil {
		return version
	}
	if n, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &version[0], &version[1]); n != 2 || err != nil {
		return [2]int{}
	}
	return version
}

// SkipAsInGuest skips the stand-in of a test that ran, and skipped, inside the
// virtual machine; said is what it printed there.
func SkipAsInGuest(t testing.TB, said string) {
	t.Helper()
	other(t, "skipped in the guest:\n%s", said)
}

// SkipAsBusy skips a test that needs CPU time which others on this machine used,
// and would prove nothing without. In the virtual machine there are no others, so
// there it fails.
func SkipAsBusy(t testing.TB, said string) {
	t.Helper()
	if InGuest() {
		t.Fatalf("testenv: %s", said)
	}
	other(t, "this machine is too busy: %s", said)
}

// RequireGuest needs the virtual machine of package vm: the test changes what
// is the whole machine's, such as which CPUs are online.
func RequireGuest(t testing.TB, does string) {
	t.Helper()
	RequireRoot(t)
	if !InGuest() {
		other(t, "a test that %s, which only the virtual machine is for (make test-vm-slow)", does)
	}
}
