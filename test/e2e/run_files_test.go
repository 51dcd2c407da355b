// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVolumes binds a directory and files.
func TestVolumes(t *testing.T) {
	p := setup(t)
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("data/one", "one\n")
	single := put("single", "single\n")
	data := filepath.Join(dir, "data")

	p.sh(t, "cat /data/one /etc/single; echo two >/data/two; echo more >>/etc/single",
		"-v", data+":/data", "--volume", single+":/etc/single").is(t, "one\nsingle")
	if got := file(t, filepath.Join(dir, "data/two")) + file(t, single); got != "two\nsingle\nmore\n" {
		t.Errorf("what was written inside is here %q", got)
	}

	s := p.shell(t, "volumes", "-v", data+":/data:ro", "-v", single+":/etc/single:ro")
	for _, script := range []string{"echo x >/data/two", "touch /data/three", "rm /data/one", "echo x >>/etc/single"} {
		if text, status := s.try(t, script); status == 0 || !strings.Contains(text, "Read-only file system") {
			t.Errorf("%s in a read-only volume: status %d, %s", script, status, text)
		}
	}
	s.leave(t)

	// Relative to where we are, as docker has it.
	cmd := p.command("run", "--rootfs", box(t), "-v", "./data:/data", "--", "cat", "/data/one")
	cmd.Dir = dir
	finish(t, cmd).is(t, "one")

	// One inside another, the outer first whatever the order of the flags.
	if err := os.Mkdir(filepath.Join(dir, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.sh(t, "cat /outer/inner/one && touch /outer/inner/new; touch /outer/new", "-v", data+":/outer/inner", "-v", dir+":/outer:ro").
		fails(t, 1, "/outer/new: Read-only file system")
	file(t, filepath.Join(dir, "data/new"))
}

// TestVolumesRefused: nothing is made for a volume that can't be.
func TestVolumesRefused(t *testing.T) {
	p := setup(t)
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	for volume, words := range map[string][]string{
		missing + ":/x":           {"--volume", missing, "no such file"},
		missing + "/deeper:/x":    {"--volume", missing, "no such file"},
		dir + ":relative":         {"--volume", "not an absolute path"},
		dir + ":/":                {"--volume", "--rootfs"},
		dir + ":/proc/meminfo":    {"--volume", "/proc"},
		dir + ":/x:rw,ro":         {"--volume", "ro"},
		dir + ":/x:sometimes":     {"--volume", "sometimes"},
		dir:                       {"--volume", "DESTINATION"},
		"named:/x":                {"--volume", "./named"},
		":/x":                     {"--volume", "no source"},
		dir + ":/a:ro:/b":         {"--volume"},
		dir + ":/../../proc/self": {"--volume", "/proc"},
	} {
		p.sh(t, "true", "-v", volume).refused(t, 125, words...)
	}
	p.sh(t, "true", "-v", dir+":/x", "--tmpfs", "/x").refused(t, 125, "/x is already")
	if _, err := os.Lstat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the missing source was made: %v", err)
	}
}

// TestReadOnly writes to a read-only root and to what is not.
func TestReadOnly(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "readonly", "--read-only", "--tmpfs", "/tmp:size=1m,mode=1777", "--tmpfs", "/srv/scratch:exec")
	for _, script := range []string{"touch /new", "rm /etc/passwd", "mkdir /tmp2", "chmod 700 /bin", "touch /dev/new"} {
		text, status := s.try(t, script)
		// /dev is a tmpfs of its own, as docker's.
		if script == "touch /dev/new" {
			if status != 0 {
				t.Errorf("%s: %s", script, text)
			}
			continue
		}
		if status == 0 {
			t.Errorf("%s: done in a read-only root", script)
		}
	}
	s.ask(t, "echo text >/tmp/file && cat /tmp/file /etc/passwd >/dev/null")
	if text, status := s.try(t, "head -c 2000000 /dev/zero >/tmp/big"); status == 0 {
		t.Errorf("2 MB fit into a tmpfs of 1 MB: %s", text)
	}
	for at, want := range map[string][]string{
		"/tmp":         {"nosuid", "nodev", "noexec", "size=1024k"},
		"/srv/scratch": {"nosuid", "nodev"},
	} {
		options := s.ask(t, "grep ' "+at+" ' /proc/mounts")
		for _, o := range want {
			if !slices.Contains(words(options), o) {
				t.Errorf("%s has no %s: %s", at, o, options)
			}
		}
	}
	if got := s.ask(t, "stat -c %a /tmp"); got != "1777" {
		t.Errorf("/tmp has mode %s", got)
	}
	s.ask(t, "cp /bin/busybox /srv/scratch/echo && /srv/scratch/echo executed")
	if text, status := s.try(t, "cp /bin/busybox /tmp/busybox; /tmp/busybox true"); status == 0 {
		t.Errorf("a program was executed from a noexec tmpfs: %s", text)
	}
	s.leave(t)
	p.sh(t, "true", "--tmpfs", "/x:size=much").refused(t, 125, "--tmpfs", "size=much")
}

// words are what blanks and commas part.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// TestHostRoot starts from the host's own root and writes all over it.
func TestHostRoot(t *testing.T) {
	p := setup(t)
	mark := fmt.Sprintf("procfs-shim-e2e-%d", os.Getpid())
	passwd := file(t, "/etc/passwd")
	before := tree(t, "/etc")
	inside := []string{"/" + mark, "/etc/" + mark, "/root/" + mark, "/usr/bin/" + mark, "/dev/" + mark, "/var/lib/" + mark}
	script := "set -e; cat /etc/hostname >/dev/null; echo changed >>/etc/passwd; mv /etc/group /etc/group-" + mark + "; rm /etc/hostname; "
	for _, path := range inside {
		script += "echo text >" + path + "; test -s " + path + "; "
	}
	script += "mkdir -p /" + mark + "-dir/deep; ! test -e /etc/hostname; tail -n 1 /etc/passwd; cat /" + mark
	p.do(t, "run", "--memory", "256m", "--rootfs", "/", "--", "sh", "-c", script).is(t, "changed\ntext")
	for _, path := range append(inside, "/"+mark+"-dir", "/etc/group-"+mark) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the container's %s is on the host: %v", path, err)
		}
	}
	if got := file(t, "/etc/passwd"); got != passwd {
		t.Errorf("the host's /etc/passwd changed to:\n%s", got)
	}
	if after := tree(t, "/etc"); !slices.Equal(before, after) {
		t.Error("the host's /etc changed")
	}
}

// TestBoxUnchanged writes to a container of the box, starts another one, and
// looks at the directory.
func TestBoxUnchanged(t *testing.T) {
	p := setup(t)
	before := tree(t, box(t))
	p.sh(t, "echo x >/etc/passwd; rm -r /home; mkdir -p /a/b; echo y >/a/b/c; ls /").text(t)
	p.sh(t, "ls -d /home /a; wc -l </etc/passwd", "-v", t.TempDir()+":/mnt/point").fails(t, 0, "/a: No such file")
	if after := tree(t, box(t)); !slices.Equal(before, after) {
		t.Error("the directory after --rootfs was written to")
	}
}

// TestRootfsRefused starts from what is no root file system.
func TestRootfsRefused(t *testing.T) {
	p := setup(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "with, odd: name\\")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(rootfs string, args ...string) result {
		t.Helper()
		return p.do(t, append([]string{"run", "--rootfs", rootfs}, args...)...)
	}
	run(filepath.Join(dir, "missing"), "--", "true").refused(t, 125, "--rootfs", "missing", "no such file")
	run(plain, "--", "true").refused(t, 125, "--rootfs", plain, "not a directory")
	run(loop, "--", "true").refused(t, 125, "--rootfs", "symbolic links")
	run("/dev/null", "--", "true").refused(t, 125, "--rootfs", "/dev/null", "not a directory")
	run(empty, "--", "true").refused(t, 127, "true", "not found")
	run(empty, "--", "/bin/true").refused(t, 127, "/bin/true", "no such file")
	if left := tree(t, empty); len(left) != 1 {
		t.Errorf("an empty directory after --rootfs has now %v", left)
	}

	// A directory that its user can't read.
	closed := filepath.Join(dir, "closed")
	fillBox(t, closed)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	run(closed, "--", "echo", "root may").is(t, "root may")
	r := run(closed, "--user", "1000", "--", "echo", "a user may")
	r.refused(t, 126, "echo", "permission denied")
}

// TestRootfsUnreadable starts from a file system whose server is gone: nobody
// can read it, root neither.
func TestRootfsUnreadable(t *testing.T) {
	p := setup(t)
	dead := t.TempDir()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev.Fd())
	if err := unix.Mount("dead", dead, "fuse.dead", unix.MS_RDONLY, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dead, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	p.do(t, "run", "--rootfs", dead, "--", "true").refused(t, 125, "--rootfs", dead, "not connected")
	p.run(t, "-v", dead+":/x", "--", "true").refused(t, 125, "--volume", dead)
}
