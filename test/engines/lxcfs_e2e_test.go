// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package engines

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// lxcfsFiles are those that LXCFS's users bind into their containers.
func lxcfsFiles() []string {
	return []string{
		"proc/cpuinfo", "proc/diskstats", "proc/loadavg", "proc/meminfo", "proc/stat", "proc/swaps", "proc/uptime",
		"sys/devices/system/cpu/online",
	}
}

// mountsAt are the types of what is mounted at each place of a process that is
// below /proc or /sys, or where LXC has LXCFS's tree.
func mountsAt(t *testing.T, pid int) map[string][]string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := mountinfo.GetMountsFromReader(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string][]string{}
	for _, m := range table {
		if strings.HasPrefix(m.FSType, "fuse.") {
			at[m.Mountpoint] = append(at[m.Mountpoint], m.FSType)
		}
	}
	return at
}

// servedAt is mountsAt without the files that LXCFS has and we don't serve,
// which are left to it.
func servedAt(t *testing.T, pid int) map[string][]string {
	t.Helper()
	at := mountsAt(t, pid)
	for place := range at {
		if place != attach.LXCFSTree && !isServed(place) {
			delete(at, place)
		}
	}
	return at
}

func isServed(place string) bool {
	return slices.ContainsFunc(fusefs.Files(), func(f fusefs.File) bool { return "/"+f.Path == place })
}

// startTime is field 22 of /proc/PID/stat: with the PID, it names a process.
func startTime(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	return string(fields[19])
}

// binds are docker's and podman's flags that give a container LXCFS's files.
func (l *LXCFS) binds() []string {
	var flags []string
	for _, f := range lxcfsFiles() {
		flags = append(flags, "-v", filepath.Join(l.Dir, f)+":/"+f+":rw")
	}
	return flags
}

// TestReplaceLXCFS gives running containers our files in the place of LXCFS's,
// which is dead, as docker's and podman's users have bound them.
func TestReplaceLXCFS(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (engine Engine, environment string){
		"docker": func(t *testing.T) (Engine, string) { d := StartDocker(t); return d, "DOCKER_HOST=" + d.Host() },
		"podman": func(t *testing.T) (Engine, string) { return StartPodman(t, "runc"), "" },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			lxcfs := StartLXCFS(t, "-l", "--enable-cfs")
			engine, environment := start(t)
			c := engine.Run(t, Options{Name: "theirs", Memory: 200 * mib, Flags: append(lxcfs.binds(), hostTools()...)})
			plain := engine.Run(t, Options{Name: "plain", Memory: 100 * mib})
			shim := startServe(t, environment)
			started := startTime(t, c.InitPID)
			free := func() string {
				t.Helper()
				return engine.Exec(t, c, "sh", "-c", "/usr/bin/free -m 2>&1 || echo failed")
			}
			if got := totalMiB(t, free()); got != "200" {
				t.Errorf("free -m with LXCFS: %s", got)
			}
			lxcfs.Kill(t)
			if got := free(); !strings.Contains(got, "failed") {
				t.Errorf("free with LXCFS dead: %s", got)
			}
			before := mountsAt(t, c.InitPID)
			out := shim("mount", "--all", "--replace-lxcfs", "--dry-run")
			if !strings.Contains(out, "/proc/meminfo\tLXCFS's would be replaced") || strings.Contains(out, "plain") {
				t.Errorf("the dry run said\n%s", out)
			}
			if got := mountsAt(t, c.InitPID); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("a dry run left %v of %v", got, before)
			}

			out = shim("mount", "--all", "--replace-lxcfs")
			if !strings.Contains(out, "/proc/meminfo\treplaced") {
				t.Errorf("mount said\n%s", out)
			}
			if got := totalMiB(t, free()); got != "200" {
				t.Errorf("free -m with ours: %s", got)
			}
			wantOurs(t, c.InitPID)
			if got := mountsAt(t, plain.InitPID); len(got) != 0 {
				t.Errorf("a container without LXCFS's files got %v", got)
			}
			if out := shim("mount", "--replace-lxcfs", c.ID[:12]); strings.Contains(out, "replaced") || !strings.Contains(out, "unchanged") {
				t.Errorf("the second time said\n%s", out)
			}
			if out := shim("mount", "--all", "--replace-lxcfs"); strings.Contains(out, "plain") {
				t.Errorf("the third time said\n%s", out)
			}
			if got := startTime(t, c.InitPID); got != started {
				t.Errorf("init was started at %s, before at %s", got, started)
			}
			shim("unmount", c.ID[:12])
			if got := servedAt(t, c.InitPID); len(got) != 0 {
				t.Errorf("after unmount: %v", got)
			}
			if got := totalMiB(t, free()); got == "200" {
				t.Error("free isn't the kernel's after unmount")
			}
		})
	}
}

// wantOurs checks that there is one mount of ours in each place, and no other.
func wantOurs(t *testing.T, pid int) {
	t.Helper()
	at := servedAt(t, pid)
	for place, types := range at {
		if len(types) != 1 || types[0] != "fuse.procfs-shim" {
			t.Errorf("%s has mounts of %v", place, types)
		}
	}
	for _, f := range lxcfsFiles() {
		if !isServed("/" + f) {
			continue
		}
		if at["/"+f] == nil {
			t.Errorf("nothing is mounted over /%s", f)
		}
	}
}

// lxcHook are the lines of LXC's own configuration for LXCFS.
func lxcHook(t *testing.T) []string {
	t.Helper()
	const config = "/usr/share/lxc/config/common.conf.d/00-lxcfs.conf"
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// TestReplaceLXCFSByHook does the same with a container that LXC's mount hook
// was run for: LXCFS covers a directory of sysfs, and there is its whole tree.
func TestReplaceLXCFSByHook(t *testing.T) {
	testenv.NoLeaks(t)
	lxcfs := StartLXCFS(t)
	engine := StartLXC(t)
	engine.PlaceLXCFS(t, lxcfs)
	c := engine.Run(t, Options{Name: "hooked", Memory: 200 * mib, Flags: lxcHook(t)})
	if at := mountsAt(t, c.InitPID); at["/sys/devices/system/cpu"] == nil || at["/var/lib/lxcfs"] == nil || at["/proc/meminfo"] == nil {
		t.Fatalf("the hook left %v", at)
	}
	shim := startServe(t)
	started := startTime(t, c.InitPID)
	lxcfs.Kill(t)
	out := shim("mount", "--all", "--replace-lxcfs")
	for _, want := range []string{"/sys/devices/system/cpu\tremoved", "/sys/devices/system/cpu/online\tplaced", "/proc/meminfo\treplaced", "/var/lib/lxcfs\treplaced"} {
		if !strings.Contains(out, want) {
			t.Errorf("mount said\n%s\nwithout %q", out, want)
		}
	}
	wantOurs(t, c.InitPID)
	for _, f := range []string{"/proc/meminfo", "/var/lib/lxcfs/proc/meminfo"} {
		if got := engine.Exec(t, c, "cat", f); !strings.HasPrefix(got, "MemTotal:         204800 kB") {
			t.Errorf("%s says %.40q", f, got)
		}
	}
	if got := engine.Exec(t, c, "ls", "/sys/devices/system/cpu"); !strings.Contains(got, "uevent") {
		t.Errorf("the kernel's own directory has %q", got)
	}
	if out := shim("mount", "--replace-lxcfs", c.Name); strings.Contains(out, "replaced") || strings.Contains(out, "placed") {
		t.Errorf("the second time said\n%s", out)
	}
	if got := startTime(t, c.InitPID); got != started {
		t.Errorf("init was started at %s, before at %s", got, started)
	}
	shim("unmount", c.Name)
	// The tree for containers inside is none of the kernel's files.
	if got := servedAt(t, c.InitPID); len(got) != 1 || got[attach.LXCFSTree] == nil {
		t.Errorf("after unmount: %v", got)
	}
}
