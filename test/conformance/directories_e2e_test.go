// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// directories are those of /sys whose entries are the host's.
func directories() []string {
	return []string{"sys/devices/system/cpu", "sys/devices/system/node"}
}

// sameEntry compares an entry of ours with the host's.
func sameEntry(ours, hosts string) error {
	var our, host unix.Stat_t
	if err := unix.Lstat(ours, &our); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if err := unix.Lstat(hosts, &host); err != nil {
		return fmt.Errorf("the host has no %s: %w", hosts, err)
	}
	directory := host.Mode&unix.S_IFMT == unix.S_IFDIR
	if our.Mode&unix.S_IFMT != host.Mode&unix.S_IFMT || !directory && our.Mode != host.Mode || our.Uid != host.Uid || our.Gid != host.Gid {
		return fmt.Errorf("mode %o, owner %d:%d; the host's has %o, %d:%d", our.Mode, our.Uid, our.Gid, host.Mode, host.Uid, host.Gid)
	}
	if our.Ino == 0 || our.Ino > 1<<32 {
		return fmt.Errorf("inode number %#x doesn't fit 32 bits", our.Ino)
	}
	if our.Mode&unix.S_IFMT != unix.S_IFLNK {
		return nil
	}
	ourTarget, err := os.Readlink(ours)
	if err != nil {
		return err
	}
	if hostTarget, err := os.Readlink(hosts); err != nil || ourTarget != hostTarget {
		return fmt.Errorf("leads to %q, the host's to %q, %w", ourTarget, hostTarget, err)
	}
	return nil
}

// TestDirectories walks the host's directories in both trees: what is there is as
// on the host, and the whole conformance suite holds for a file of each kind.
func TestDirectories(t *testing.T) {
	s := served.Start(t)
	bound := s.Add("directories", served.NewCgroup(t, "directories"))
	for name, top := range map[string]string{"bound": bound, "shared": s.Shared} {
		t.Run(name, func(t *testing.T) {
			inodes := map[uint64]string{}
			var paths []string
			for _, dir := range directories() {
				err := filepath.WalkDir(filepath.Join(top, dir), func(at string, entry fs.DirEntry, err error) error {
					if err != nil {
						return err
					}
					path := strings.TrimPrefix(at, top+"/")
					if err := sameEntry(at, "/"+path); err != nil {
						t.Errorf("%s: %v", path, err)
					}
					var st unix.Stat_t
					if err := unix.Lstat(at, &st); err != nil {
						return err
					}
					if other, ok := inodes[st.Ino]; ok {
						t.Errorf("%s and %s have the same inode number", path, other)
					}
					inodes[st.Ino] = path
					if !entry.Type().IsRegular() {
						return nil
					}
					paths = append(paths, path)
					ours, err := os.ReadFile(at)
					if err != nil {
						t.Errorf("%s: %v", path, err)
						return nil
					}
					hosts, err := os.ReadFile("/" + path)
					// The files of nodes and lists of CPUs say something else.
					if own := strings.Contains(path, "/node/") || strings.HasSuffix(path, "line"); err != nil || !own && sameShape(string(ours), string(hosts)) != nil {
						t.Errorf("%s: %q, the host's %q, %v", path, ours, hosts, err)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []string{"sys/devices/system/cpu/possible", "sys/devices/system/cpu/online"} {
				if !slices.Contains(paths, want) {
					t.Errorf("there is no %s", want)
				}
			}
			for _, p := range paths {
				for _, no := range []string{"thermal_throttle", "crash_notes", "uevent", "/power/"} {
					if strings.Contains(p, no) {
						t.Errorf("%s is shown", p)
					}
				}
			}
			var some []string
			for _, p := range []string{
				"sys/devices/system/cpu/possible", "sys/devices/system/cpu/cpu0/topology/core_id", "sys/devices/system/cpu/cpu0/cache/index0/size",
				"sys/devices/system/node/node0/meminfo", "sys/devices/system/node/node0/cpumap", "sys/devices/system/node/node0/distance",
			} {
				if slices.Contains(paths, p) {
					some = append(some, p)
				}
			}
			Run(t, &Subject{Dir: top, Files: some, Slow: true})
		})
	}
}

// TestLscpu: what lscpu(1) says of a container's CPUs is what cpuinfo and online
// say, in a directory tree that has no others.
func TestLscpu(t *testing.T) {
	if _, err := exec.LookPath("lscpu"); err != nil {
		t.Fatal(err)
	}
	testenv.RequireCPUs(t, 2)
	s := served.Start(t)
	cg := served.NewCgroup(t, "lscpu")
	dir := s.Add("lscpu", cg)
	for cpus, want := range map[float64]string{1: "0", 2: "0,1"} {
		cg.SetCPUs(cpus)
		out, err := exec.Command("lscpu", "--sysroot", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("lscpu: %v: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			key, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(key) == "On-line CPU(s) list" && strings.ReplaceAll(strings.TrimSpace(value), "-", ",") != want {
				t.Errorf("with %g CPUs: %s", cpus, line)
			}
		}
		if !strings.Contains(string(out), "On-line CPU(s) list:") {
			t.Errorf("lscpu says\n%s", out)
		}
	}
}

// TestSnapshotID: an open file can name its snapshot, another one after each read
// at offset 0, the same until then.
func TestSnapshotID(t *testing.T) {
	s := served.Start(t)
	bound := s.Add("ids", served.NewCgroup(t, "ids"))
	for _, top := range []string{bound, s.Shared} {
		for _, file := range []string{"proc/meminfo", "proc/uptime", "sys/devices/system/cpu/possible"} {
			err := withOpen(filepath.Join(top, file), func(fd int) error {
				if _, err := snapshotID(fd); !errors.Is(err, unix.ENODATA) {
					return fmt.Errorf("before the first read: %w", err)
				}
				var last uint64
				for range 3 {
					if _, err := pread(fd, 10, 0); err != nil {
						return err
					}
					first, err := snapshotID(fd)
					if err != nil {
						return err
					}
					if _, err := pread(fd, 10, 3); err != nil {
						return err
					}
					if again, err := snapshotID(fd); err != nil || again != first || first <= last {
						return fmt.Errorf("snapshots %d, %d after %d, %w", first, again, last, err)
					}
					last = first
				}
				_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
				if !errors.Is(err, unix.ENOTTY) {
					return fmt.Errorf("it is a terminal: %w", err)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// snapshotID is ioctl(fd, _IOR('p', 1, uint64)).
func snapshotID(fd int) (id uint64, err error) {
	const request = 2<<30 | 8<<16 | 'p'<<8 | 1
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		return 0, errno
	}
	return id, nil
}
