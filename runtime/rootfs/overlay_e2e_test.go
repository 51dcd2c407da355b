// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// privately runs f on a thread of its own in a mount namespace of its own,
// which ends with the thread: it is never unlocked. The main thread never ends
// and /proc/self shows its namespace, so that one is held and another taken.
func privately(t *testing.T, f func() error) {
	t.Helper()
	result := make(chan error, 1)
	var on func()
	on = func() {
		goruntime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer goruntime.UnlockOSThread()
			done := make(chan struct{})
			go func() { defer close(done); on() }()
			<-done
			return
		}
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("make / private: %w", err)
			}
			return f()
		}()
	}
	go on()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// dataDir is a directory on the file system of /, where run keeps its layers.
func dataDir(t *testing.T) string {
	t.Helper()
	const base = "/var/lib/procfs-shim-data"
	_, statErr := os.Lstat(base)
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, "test-") //nolint:usetesting // t.TempDir is on another file system where /tmp is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
		if errors.Is(statErr, os.ErrNotExist) {
			_ = os.Remove(base) // empty, or in use by somebody else by now
		}
	})
	return dir
}

// The host's own root below an overlay whose upperdir lies in that root.
func TestMountHostRoot(t *testing.T) {
	o := Layers(filepath.Join(dataDir(t), "c1"), "/")
	if err := o.Prepare(); err != nil {
		t.Fatal(err)
	}
	hostname, err := os.ReadFile("/etc/hostname")
	if err != nil {
		t.Fatal(err)
	}
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		t.Fatal(err)
	}
	privately(t, func() error {
		if err := o.Mount(); err != nil {
			return err
		}
		in := func(name string) string { return filepath.Join(o.Target, name) }
		got, err := os.ReadFile(in("etc/hostname"))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, hostname) {
			return fmt.Errorf("etc/hostname in the overlay = %q, want %q", got, hostname)
		}
		var st unix.Stat_t
		if err := unix.Stat(o.Target, &st); err != nil {
			return err
		}
		if st.Mode != root.Mode || st.Uid != root.Uid {
			return fmt.Errorf("merged root has mode %o uid %d, the host's %o %d", st.Mode, st.Uid, root.Mode, root.Uid)
		}
		if names, err := os.ReadDir(in("proc")); err != nil || len(names) != 0 {
			return fmt.Errorf("proc of the host in the overlay: %d names, want none: %w", len(names), err)
		}
		if err := os.WriteFile(in("etc/hostname"), []byte("changed\n"), 0o644); err != nil {
			return err
		}
		if err := os.Remove(in("etc/passwd")); err != nil {
			return err
		}
		if err := os.Mkdir(in("new"), 0o755); err != nil {
			return err
		}
		if err := unix.Lstat(filepath.Join(o.Upper, "etc/passwd"), &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
			return fmt.Errorf("removed file left mode %o device %d in upperdir, want a whiteout", st.Mode, st.Rdev)
		}
		if _, err := os.ReadDir(in(o.Upper)); !errors.Is(err, unix.ELOOP) {
			return fmt.Errorf("upperdir seen through the overlay: want ELOOP: %w", err)
		}
		return nil
	})
	after, err := os.ReadFile("/etc/hostname")
	if err != nil || !bytes.Equal(after, hostname) {
		t.Errorf("host's /etc/hostname is now %q, %v", after, err)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Errorf("host's /etc/passwd: %v", err)
	}
	if _, err := os.Lstat("/new"); err == nil {
		t.Error("a directory made in the overlay is on the host")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), o.Target) {
		t.Errorf("the overlay is mounted in the host's namespace (%v)", err)
	}
}

func TestMountAwkwardPaths(t *testing.T) {
	for _, name := range []string{`c:o,l\o n`, `end\`, `,`, `:`, `\:`, "new\nline", "lowerdir=x,upperdir=y"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(dataDir(t), name)
			lower := filepath.Join(dir, "lower"+name)
			if err := os.MkdirAll(lower, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(lower, "f"), []byte("low"), 0o644); err != nil {
				t.Fatal(err)
			}
			o := Layers(dir, lower)
			if err := o.Prepare(); err != nil {
				t.Fatal(err)
			}
			privately(t, func() error {
				if err := o.Mount(); err != nil {
					return err
				}
				if got, err := os.ReadFile(filepath.Join(o.Target, "f")); err != nil || string(got) != "low" {
					return fmt.Errorf("lower file through the overlay: %q: %w", got, err)
				}
				if err := os.WriteFile(filepath.Join(o.Target, "g"), []byte("up"), 0o644); err != nil {
					return err
				}
				if got, err := os.ReadFile(filepath.Join(o.Upper, "g")); err != nil || string(got) != "up" {
					return fmt.Errorf("written file in upperdir: %q: %w", got, err)
				}
				return o.Unmount()
			})
		})
	}
}

// More bytes of options than mount(2) takes.
func TestMountManyLowers(t *testing.T) {
	dir := dataDir(t)
	var lower []string
	for i := range 30 {
		l := filepath.Join(dir, fmt.Sprintf("%03d-%s", i, strings.Repeat("x", 200)))
		if err := os.Mkdir(l, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l, fmt.Sprintf("f%d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		lower = append(lower, l)
	}
	o := Layers(dir, lower...)
	if err := o.Prepare(); err != nil {
		t.Fatal(err)
	}
	privately(t, func() error {
		if err := o.Mount(); err != nil {
			return err
		}
		names, err := os.ReadDir(o.Target)
		if err != nil || len(names) != len(lower) {
			return fmt.Errorf("merged shows %d names, want %d: %w", len(names), len(lower), err)
		}
		return nil
	})
}

func TestMountErrors(t *testing.T) {
	dir := dataDir(t)
	lower := filepath.Join(dir, "lower")
	if err := os.Mkdir(lower, 0o755); err != nil {
		t.Fatal(err)
	}
	o := Layers(filepath.Join(dir, "c"), lower)
	if err := o.Mount(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Mount without Prepare = %v, want ENOENT", err)
	}
	if err := o.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := o.Unmount(); err != nil {
		t.Errorf("Unmount of what is not mounted = %v", err)
	}
	privately(t, func() error {
		other := filepath.Join(dir, "other")
		if err := os.Mkdir(other, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", other, "tmpfs", 0, ""); err != nil {
			return err
		}
		far := o
		far.Work = filepath.Join(other, "work")
		if err := far.Prepare(); err != nil {
			return err
		}
		if err := far.Mount(); !errors.Is(err, unix.EXDEV) {
			return fmt.Errorf("mount with the workdir elsewhere: want EXDEV: %w", err)
		}
		if err := o.Mount(); err != nil {
			return err
		}
		nested := Layers(filepath.Join(o.Target, "nested"), lower)
		if err := nested.Prepare(); err != nil {
			return err
		}
		if err := nested.Mount(); err == nil || !strings.Contains(err.Error(), "itself on an overlay") {
			return fmt.Errorf("mount on an overlay: another error than expected: %w", err)
		}
		return nil
	})
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	o.Target = link
	if err := o.Mount(); !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
		t.Errorf("Mount on a symbolic link = %v", err)
	}
}

// What is mounted below a layer survives its removal.
func TestRemoveStopsAtMounts(t *testing.T) {
	dir := filepath.Join(dataDir(t), "c")
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "merged", "vol")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	privately(t, func() error {
		if err := unix.Mount(volume, at, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if err := Remove(dir); err == nil {
			return errors.New("Remove of a tree with a mount in it = nil")
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join(volume, "precious")); err != nil {
		t.Errorf("Remove deleted through a mount: %v", err)
	}
}
