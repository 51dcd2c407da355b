// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
)

// A container that LXC's hook was run for, an engine's bind of one file, and a
// copy of the host's own mount.
const lxcfsTable = `100 50 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/l
101 100 0:41 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
103 100 0:22 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
104 101 0:60 /proc/meminfo /proc/meminfo rw,nosuid,nodev,relatime - fuse.lxcfs lxcfs rw
105 104 0:61 /7f/proc/meminfo /proc/meminfo ro,relatime - fuse.procfs-shim procfs-shim ro
106 101 0:60 /proc/pressure /proc/pressure rw,relatime - fuse.lxcfs lxcfs rw
107 103 0:60 /sys/devices/system/cpu /sys/devices/system/cpu rw,relatime - fuse.lxcfs lxcfs rw
108 107 0:60 /sys/devices/system/cpu/online /sys/devices/system/cpu/online rw,relatime - fuse.lxcfs lxcfs rw
109 100 0:60 / /var/lib/lxcfs rw,relatime - fuse.lxcfs lxcfs rw
110 100 0:60 / /host/var/lib/lxcfs rw,relatime - fuse.lxcfs lxcfs rw
111 101 0:60 /proc/uptime /proc/uptime rw,relatime - fuse.lxcfs lxcfs rw
112 107 0:6 /null /sys/devices/system/cpu/uevent rw,nosuid - devtmpfs devtmpfs rw
113 109 0:62 / /var/lib/lxcfs ro,relatime - fuse.procfs-shim procfs-shim ro
115 103 0:60 /sys/devices/system/cpu/cpu0 /sys/devices/system/cpu/cpu0 ro,relatime - fuse.lxcfs lxcfs ro
114 100 0:62 / /var/lib/procfs-shim ro,relatime - fuse.procfs-shim procfs-shim ro
`

func TestLXCFS(t *testing.T) {
	mounts, err := LXCFS(fakeProc(t, lxcfsTable), 7)
	if err != nil {
		t.Fatal(err)
	}
	destinations := []string{"/proc/meminfo", "/proc/pressure/cpu", "/sys/devices/system/cpu/online", LXCFSTree}
	type seen struct {
		Destination string
		Covered     bool
		Fate        string
	}
	var got []seen
	for _, m := range mounts {
		got = append(got, seen{m.Destination, m.Covered, m.Fate(destinations).String()})
	}
	want := []seen{
		{"/proc/meminfo", true, "replaced"},
		{"/proc/pressure", false, "removed"},
		{"/sys/devices/system/cpu", false, "removed"},
		{"/sys/devices/system/cpu/online", false, "replaced"},
		{"/var/lib/lxcfs", true, "replaced"},
		{"/host/var/lib/lxcfs", false, "left"},
		{"/proc/uptime", false, "left"},
		{"/var/lib/lxcfs", false, "replaced"},
		{"/sys/devices/system/cpu/cpu0", false, "removed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	served := []string{"proc/meminfo", "proc/stat", "proc/uptime", "proc/pressure/none", "sys/devices/system/cpu/online", "sys/devices/system/cpu/possible"}
	if diff := cmp.Diff([]string{"proc/stat", "proc/meminfo", "proc/uptime", "sys/devices/system/cpu/online", "sys/devices/system/cpu/possible"},
		WithCovered([]string{"proc/stat", "proc/meminfo"}, served, mounts)); diff != "" {
		t.Error(diff)
	}
	if Touches(mounts, []string{"/proc/stat", "/proc/pressures", "/var/lib/lxcfs/proc/stat"}) || !Touches(mounts, []string{"/proc/stat", LXCFSTree}) {
		t.Error("what is touched")
	}
}

func TestForeignBelow(t *testing.T) {
	table, err := readTable(fakeProc(t, lxcfsTable), 7)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int]string{104: "", 106: "", 107: "/sys/devices/system/cpu/uevent", 109: ""} {
		i := slices.IndexFunc(table, func(m *mountinfo.Info) bool { return m.ID == id })
		got := ""
		if f := foreignBelow(table, table[i]); f != nil {
			got = f.Mountpoint
		}
		if got != want {
			t.Errorf("foreign below %d: %q, want %q", id, got, want)
		}
	}
	if diff := cmp.Diff([]string{"/proc/pressure", "/sys/devices/system/cpu", "/sys/devices/system/cpu/cpu0"},
		toUncover(table, []string{"/sys/devices/system/cpu/online", "/proc/pressure/io", "/proc/pressure/cpu"})); diff != "" {
		t.Error(diff)
	}
}
