// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// settle is how long what an engine has been told to end may take.
const settle = 10 * time.Second

// superviseDaemon starts cmd and waits for its end. The signal that a child gets
// when its parent dies is sent when the thread that started it ends: so that
// thread stays until the child is gone.
func superviseDaemon(cmd *exec.Cmd, started, ended chan<- error) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	err := cmd.Start()
	started <- err
	if err == nil {
		ended <- cmd.Wait()
	}
}

// endProcesses waits for what the engine left to end by itself (conmon's and
// podman's clean-up go on after `podman rm`), and kills what doesn't: processes
// that have the test's own directory in their command line.
func (b *base) endProcesses(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
		left := b.processes()
		if len(left) == 0 {
			return
		}
		if time.Now().Before(deadline) {
			continue
		}
		for _, pid := range left {
			t.Errorf("engines: process %d is left: %s", pid, commandLine(pid))
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
}

func (b *base) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && bytes.Contains(commandLine(pid), []byte(b.dir)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// unmountAll removes what is still mounted below the directory, the mount made
// last first.
func (b *base) unmountAll(t testing.TB) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(b.dir))
	if err != nil {
		t.Errorf("engines: %v", err)
	}
	slices.Reverse(mounts)
	for _, m := range mounts {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			t.Errorf("engines: unmount %s: %v", m.Mountpoint, err)
		}
	}
}

// cgroupDirs are the directories with one of the names at the top of any
// mounted hierarchy.
func cgroupDirs(names []string) map[string]bool {
	found := map[string]bool{}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return found
	}
	for _, m := range mounts {
		for _, name := range names {
			path := filepath.Join(m.Mountpoint, name)
			if info, err := os.Lstat(path); err == nil && info.IsDir() {
				found[path] = true
			}
		}
	}
	return found
}

// removeCgroup removes a cgroup that the engine made, with those below it. One
// that still has processes for a moment after they were killed is tried again.
func removeCgroup(t testing.TB, top string) {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // it may go while we walk
	})
	if err != nil {
		t.Errorf("engines: %v", err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, dir := range dirs {
		for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
			err := unix.Rmdir(dir)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				t.Errorf("engines: remove cgroup %s: %v", dir, err)
				break
			}
		}
	}
}
