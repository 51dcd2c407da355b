// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package fusefs_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func TestMountTable(t *testing.T) {
	s := served.Start(t)
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{s.Shared, s.Bound} {
		found := false
		for line := range strings.Lines(string(table)) {
			if !strings.Contains(line, " "+at+" ") {
				continue
			}
			found = true
			if !strings.Contains(line, " ro,nosuid,nodev,noexec,") || !strings.Contains(line, " - fuse.procfs-shim procfs-shim ro,") ||
				!strings.Contains(line, ",default_permissions") || !strings.Contains(line, ",allow_other") {
				t.Errorf("mounted as %s", line)
			}
		}
		if !found {
			t.Errorf("%s is no mount", at)
		}
	}
}

// Everybody may read what the modes let everybody read.
func TestOtherUsers(t *testing.T) {
	s := served.Start(t)
	// What t.TempDir made is for its owner only.
	dir := filepath.Dir(s.Shared)
	for _, at := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range fusefs.Files() {
		hosts, err := os.Stat("/" + f.Path)
		if err != nil {
			continue // this host doesn't have it
		}
		cmd := exec.Command("cat", filepath.Join(s.Shared, f.Path))
		cmd.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if allowed := hosts.Mode()&0o004 != 0; allowed != (err == nil) || allowed && len(out) == 0 && f.Path != "proc/diskstats" {
			t.Errorf("%s, mode %v: %v: %s", f.Path, hosts.Mode(), err, out)
		}
	}
}

// Files taken through an idmapped mount, as a pod with a user namespace of its
// own takes its volumes.
func TestIDMapped(t *testing.T) {
	testenv.RequireKernel(t, 6, 12, "idmapped FUSE mounts")
	s := served.Start(t)
	dir := s.Add("idmapped", served.NewCgroup(t, "idmapped"))
	const base = 100_000
	owner := exec.Command("sleep", "600")
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 1000}}
	owner.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: mapping, GidMappings: mapping}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = owner.Process.Kill()
		_ = owner.Wait()
	}()
	users, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", owner.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(tree) }()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(at, "proc/meminfo")
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != base || st.Gid != base {
		t.Errorf("the owner is %d:%d, want %d:%d", st.Uid, st.Gid, base, base)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "MemTotal:") {
		t.Errorf("%q, %v", text, err)
	}
	if err := unix.Chmod(path, 0o777); !errors.Is(err, unix.EROFS) {
		t.Errorf("chmod: %v, want EROFS", err)
	}
}

// newBound returns an empty tree of this process, which nobody here may read.
func newBound(t *testing.T) *fusefs.Bound {
	t.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	host := fusefs.NewHost("/proc", "/sys", layout, time.Now, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return fusefs.NewBound(host)
}

// A device that nobody mounts.
func TestNeverMounted(t *testing.T) {
	testenv.RequireFUSE(t)
	dev, err := fusefs.OpenDevice()
	if err != nil {
		t.Fatal(err)
	}
	server, err := fusefs.Serve(newBound(t), dev)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Ready():
		t.Error("ready without a mount")
	case <-time.After(20 * time.Millisecond):
	}
	server.Close()
	server.Close()
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// Unmounting ends the serving; the device can be closed before.
func TestUnmountEnds(t *testing.T) {
	testenv.RequireFUSE(t)
	dev, err := fusefs.OpenDevice()
	if err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	if err := fusefs.MountDevice(dev, at); err != nil {
		t.Fatal(err)
	}
	server, err := fusefs.Serve(newBound(t), dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	<-server.Ready()
	// By path only, without a look inside: this process serves it.
	if err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}

func TestMountErrors(t *testing.T) {
	testenv.RequireFUSE(t)
	dev, err := fusefs.OpenDevice()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dev.Close() }()
	missing := filepath.Join(t.TempDir(), "missing")
	if err := fusefs.MountDevice(dev, missing); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), missing) {
		t.Errorf("mount on a missing directory: %v", err)
	}
	notFUSE, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = notFUSE.Close() }()
	if err := fusefs.MountDevice(notFUSE, t.TempDir()); err == nil {
		t.Error("/dev/null was mounted")
	}
	server, err := fusefs.Serve(newBound(t), notFUSE)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err == nil {
		t.Error("/dev/null was served")
	}
}
