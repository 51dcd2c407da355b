// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package mounts

import (
	"fmt"
	goruntime "runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// What kernels before 5.12 get instead of mount_setattr works on newer ones
// too, and comes to the same.
func TestRemountKeepsOtherFlags(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	dir := t.TempDir()
	if err := onThread(func() error { return remountIn(dir) }); err != nil {
		t.Error(err)
	}
}

// onThread runs f on a thread that ends with it, and its mount namespace with
// the thread. The main thread doesn't end, so it is held until another one is
// found.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			result <- f()
			return
		}
		defer goruntime.UnlockOSThread()
		result <- onThread(f)
	}()
	return <-result
}

func remountIn(dir string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("t", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOATIME, ""); err != nil {
		return err
	}
	mount, err := cloneTree(unix.AT_FDCWD, dir, false)
	if err != nil {
		return err
	}
	defer func() { _ = mount.Close() }()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.MoveMount(int(mount.Fd()), "", fd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return err
	}
	flags := func() (int64, error) {
		var st unix.Statfs_t
		err := unix.Fstatfs(int(mount.Fd()), &st)
		return st.Flags & (unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME), err
	}
	for _, step := range []struct {
		change attributes
		want   int64
	}{
		{attributes{set: unix.MOUNT_ATTR_RDONLY}, unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NOATIME},
		{attributes{set: unix.MOUNT_ATTR_NODEV, clear: unix.MOUNT_ATTR_RDONLY}, unix.ST_NODEV | unix.ST_NOSUID | unix.ST_NOATIME},
	} {
		if err := remount(mount, step.change, unix.MS_PRIVATE); err != nil {
			return err
		}
		if got, err := flags(); err != nil || got != step.want {
			return fmt.Errorf("after %+v: flags %#x, %w, want %#x", step.change, got, err, step.want)
		}
	}
	return nil
}
