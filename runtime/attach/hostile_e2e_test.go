// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package attach

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What a hostile image or tenant can prepare at the destination.
func TestHostileDestinations(t *testing.T) {
	setup(t)
	hole := t.TempDir()
	hung := serve(t, "fuse.evil")
	for name, script := range map[string]string{
		"proc is a tmpfs with a link":      "mount -t tmpfs t /proc; ln -s /etc/hostname /proc/meminfo",
		"proc is a tmpfs with a file":      "mount -t tmpfs t /proc; : >/proc/meminfo",
		"proc is a bind of etc":            "mount --bind /etc /proc",
		"proc is part of a procfs":         "mount --bind /proc/self /proc",
		"the file is bound from elsewhere": "mount --bind /etc/hostname /proc/meminfo",
		"the file is bound from procfs":    "mount --bind /proc/version /proc/meminfo",
		"a server that never answers":      "mount --bind " + hung.dir + " /proc",
	} {
		t.Run(name, func(t *testing.T) {
			c := startContainer(t, 0, script)
			hung.silence()
			defer hung.speak()
			s := serve(t, FSType)
			before, err := os.ReadFile("/etc/hostname")
			if err != nil {
				t.Fatal(err)
			}
			mounts := c.mounts()
			if rs, err := Attach(c.pid, s.trees(t, "meminfo")); err == nil {
				t.Errorf("attached: %s", actions(rs))
			} else {
				t.Log(err)
			}
			if got := c.mounts(); got != mounts {
				t.Errorf("the mounts changed to\n%s", got)
			}
			if after, err := os.ReadFile("/etc/hostname"); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the host's file says %q, %v", after, err)
			}
		})
	}
	t.Run("proc is a link in the root file system", func(t *testing.T) {
		if err := os.Symlink("/etc", hole+"/proc"); err != nil {
			t.Fatal(err)
		}
		s := serve(t, FSType)
		root, err := openDir(unix.AT_FDCWD, hole)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := s.trees(t, "meminfo")[0].Place(root); !errors.Is(err, ErrCovered) {
			t.Errorf("place through a link: %v", err)
		}
	})
}

func TestHostNamespaceIsRefused(t *testing.T) {
	setup(t)
	if _, err := Attach(os.Getpid(), nil); !errors.Is(err, ErrHostNamespace) {
		t.Errorf("the caller's own: %v", err)
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(cmd.Process.Pid, nil); !errors.Is(err, ErrHostNamespace) {
		t.Errorf("a child in the same namespace: %v", err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(cmd.Process.Pid, nil); !errors.Is(err, ErrGone) {
		t.Errorf("a process that ended: %v", err)
	}
}

// A namespace whose /proc is a peer of the host's: a mount there would reach
// the host. A thread with a shared /proc stands in for the host.
func TestPeerOfTheHostIsRefused(t *testing.T) {
	setup(t)
	s := serve(t, FSType)
	trees := s.trees(t, "meminfo")
	done := make(chan struct{})
	onOwnThread(func() {
		defer close(done)
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS),
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("proc", "/proc", "proc", 0, ""),
			unix.Mount("", "/proc", "", unix.MS_SHARED, ""),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		c := start(t, 0, "")
		if _, err := Attach(c.pid, trees); !errors.Is(err, ErrHostNamespace) {
			t.Errorf("a peer: %v", err)
		}
		b, err := os.ReadFile("/proc/thread-self/mountinfo")
		if err != nil || strings.Contains(string(b), "/proc/meminfo") {
			t.Errorf("the host's mounts: %v\n%s", err, b)
		}
	})
	<-done
}

// Mounts that an unprivileged namespace took over from a container are locked.
func TestLockedMountsAreLeftAlone(t *testing.T) {
	setup(t)
	old, fresh := serve(t, FSType), serve(t, FSType)
	c := startContainer(t, 0, "mount --bind "+old.dir+"/A/meminfo /proc/meminfo; exec unshare -Urm sh -c 'echo ready; exec cat >/dev/null'")
	before := c.mounts()
	if rs, err := Attach(c.pid, fresh.trees(t, "cpuinfo", "meminfo")); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("attach: %s, %v", actions(rs), err)
	}
	if rs, err := Detach(c.pid, nil); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("detach: %s, %v", actions(rs), err)
	}
	if got := c.mounts(); got != before {
		t.Errorf("before\n%s\nafter\n%s", before, got)
	}
	mustAttach(t, c, old.trees(t, "meminfo"), "meminfo unchanged")
}
