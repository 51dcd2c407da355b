// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
)

// A synthetic container: the engine's mounts, its masks, and files of ours.
const table = `100 50 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/l
101 100 0:41 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
102 101 0:6 /null /proc/keys rw,nosuid - devtmpfs devtmpfs rw
103 100 0:22 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
104 101 0:60 /proc/stat /proc/stat ro,relatime - fuse.procfs-shim procfs-shim ro
105 101 0:61 /7f/proc/meminfo /proc/meminfo ro,nosuid,nodev,noexec,relatime - fuse.procfs-shim procfs-shim ro
106 105 0:62 /7f/proc/meminfo /proc/meminfo ro,nosuid,nodev,noexec,relatime - fuse.procfs-shim procfs-shim ro
107 103 0:61 /7f/sys/devices/system/cpu/online /sys/devices/system/cpu/online ro,relatime - fuse.procfs-shim procfs-shim ro
`

func fakeProc(t *testing.T, mountinfo string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "7"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "7", "mountinfo"), []byte(mountinfo), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestList(t *testing.T) {
	got, err := List(fakeProc(t, table), 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []Mounted{
		{Destination: "/proc/stat", Root: "/proc/stat", Device: Device{0, 60}, Shared: true},
		{Destination: "/proc/meminfo", Root: "/7f/proc/meminfo", Device: Device{0, 61}, Covered: true},
		{Destination: "/proc/meminfo", Root: "/7f/proc/meminfo", Device: Device{0, 62}},
		{Destination: "/sys/devices/system/cpu/online", Root: "/7f/sys/devices/system/cpu/online", Device: Device{0, 61}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got[1].Healthy(Device{0, 61}) || !got[3].Healthy(Device{0, 5}, Device{0, 61}) || got[2].Healthy(Device{0, 61}) {
		t.Error("healthy is visible and on a served device")
	}
}

func TestListErrors(t *testing.T) {
	if _, err := List(t.TempDir(), 7); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "7") {
		t.Errorf("no such process: %v", err)
	}
	if _, err := List(fakeProc(t, "100 50 nonsense\n"), 7); err == nil {
		t.Error("a malformed mountinfo gives no error")
	}
}

func TestStackAt(t *testing.T) {
	mounts := parse(t, table)
	for dst, want := range map[string][]int{"/proc/meminfo": {105, 106}, "/proc/stat": {104}, "/proc/cpuinfo": nil} {
		var ids []int
		for _, m := range stackAt(mounts, 101, dst) {
			ids = append(ids, m.ID)
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%s: %s", dst, diff)
		}
	}
	// A table that names itself as its own parent ends, too.
	if s := stackAt(parse(t, "1 1 0:1 / /proc/stat rw - proc proc rw\n"), 1, "/proc/stat"); len(s) != 0 {
		t.Errorf("a loop gives %v", s)
	}
}

func TestFreshProcRule(t *testing.T) {
	const (
		proc   = "101 100 0:41 / /proc rw,relatime - proc proc rw\n"
		ours   = "105 101 0:61 /7f/proc/stat /proc/stat ro - fuse.procfs-shim procfs-shim ro\n"
		theirs = "104 101 0:60 /proc/stat /proc/stat ro - fuse.procfs-shim procfs-shim ro\n"
	)
	for name, c := range map[string]struct {
		text string
		want FreshProc
	}{
		"no procfs":                {"", FreshProc{}},
		"bare":                     {proc, FreshProc{true, true}},
		"ours":                     {proc + ours, FreshProc{false, true}},
		"an engine's bind of ours": {proc + theirs, FreshProc{}},
		"both":                     {proc + ours + theirs, FreshProc{}},
		"masks":                    {table, FreshProc{}},
		"read-only":                {strings.Replace(proc, "rw,", "ro,", 1), FreshProc{}},
		"a part":                   {strings.Replace(proc, " / /", " /sys /", 1), FreshProc{}},
		"an empty directory":       {proc + "102 101 0:9 / /proc/sys/fs/binfmt_misc rw - tmpfs t rw\n", FreshProc{true, true}},
		"another procfs":           {proc + ours + "110 100 0:44 / /mnt rw - proc proc rw\n", FreshProc{true, true}},
	} {
		if got := freshProc(parse(t, c.text)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestCheckDestination(t *testing.T) {
	for dst, ok := range map[string]bool{
		"/proc/meminfo": true, "/sys/devices/system/cpu/online": true, "/proc/pressure/cpu": true,
		"": false, "/": false, "/proc": false, "/proc/": false, "proc/meminfo": false, "/etc/passwd": false,
		"/proc/../etc/passwd": false, "/proc//meminfo": false, "/procfs/meminfo": false, "/proc/meminfo/": false,
	} {
		if err := checkDestination(dst); (err == nil) != ok {
			t.Errorf("%q: %v", dst, err)
		}
	}
}

func parse(t *testing.T, text string) []*mountinfo.Info {
	t.Helper()
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return mounts
}
