// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package attach

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func setup(t *testing.T) {
	t.Helper()
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
}

func mustAttach(t *testing.T, c *container, trees []Tree, want string) {
	t.Helper()
	got, err := Attach(c.pid, trees)
	if err != nil {
		t.Fatal(err)
	}
	if actions(got) != want {
		t.Fatalf("attach: %s; want %s", actions(got), want)
	}
}

func mustDetach(t *testing.T, c *container, dsts []string, want string) {
	t.Helper()
	got, err := Detach(c.pid, dsts)
	if err != nil {
		t.Fatal(err)
	}
	// In whichever order they lie upon each other: kernels before 6.5 can't move one
	// beneath another.
	sorted := func(text string) []string { return slices.Sorted(strings.SplitSeq(text, ", ")) }
	if !slices.Equal(sorted(actions(got)), sorted(want)) {
		t.Fatalf("detach: %s; want %s", actions(got), want)
	}
}

func TestAttachAndDetach(t *testing.T) {
	setup(t)
	for name, flags := range map[string]uintptr{"plain": 0, "user namespace": unix.CLONE_NEWUSER} {
		t.Run(name, func(t *testing.T) {
			c := startContainer(t, flags, "")
			s := serve(t, FSType)
			before := c.mounts()
			mustAttach(t, c, s.trees(t, "meminfo", "cpuinfo"), "meminfo placed, cpuinfo placed")
			if got := c.read("/proc/meminfo"); got != s.want("meminfo") {
				t.Errorf("meminfo in the container: %q", got)
			}
			during := c.mounts()
			if n := strings.Count(during, "ro,nosuid,nodev,noexec,relatime - fuse.procfs-shim"); n != 2 {
				t.Errorf("%d restricted mounts in\n%s", n, during)
			}
			for range 2 {
				mustAttach(t, c, s.trees(t, "meminfo", "cpuinfo"), "meminfo unchanged, cpuinfo unchanged")
				if got := c.mounts(); got != during {
					t.Errorf("attaching again changed the mounts to\n%s", got)
				}
			}
			all, err := List("/proc", c.pid)
			if err != nil || len(all) != 2 || all[0].Destination != "/proc/meminfo" || all[0].Root != "/A/meminfo" || all[0].Shared || all[0].Covered {
				t.Errorf("list: %+v, %v", all, err)
			}
			root, err := openDir(unix.AT_FDCWD, s.dir)
			if err != nil {
				t.Fatal(err)
			}
			dev, err := DeviceOf(root)
			root.Close()
			if err != nil || !all[0].Healthy(dev) || all[0].Healthy() {
				t.Errorf("device %v, %v: not that of %+v", dev, err, all[0])
			}
			mustDetach(t, c, []string{"/proc/cpuinfo", "/proc/stat"}, "cpuinfo removed, stat unchanged")
			if got := c.read("/proc/cpuinfo"); !strings.HasPrefix(got, "processor") {
				t.Errorf("cpuinfo after detach: %q", got)
			}
			mustDetach(t, c, nil, "meminfo removed")
			mustDetach(t, c, nil, "")
			if got := c.mounts(); got != before {
				t.Errorf("mounts before:\n%s\nafter:\n%s", before, got)
			}
		})
	}
}

func TestAttachReplacesOlderAndDead(t *testing.T) {
	setup(t)
	for name, fate := range map[string]func(*server){
		"older": func(*server) {},
		"dead":  func(s *server) { s.stop() },
		"hung":  func(s *server) { s.silence() },
	} {
		t.Run(name, func(t *testing.T) {
			c := startContainer(t, 0, "")
			before := c.mounts()
			old, fresh := serve(t, FSType), serve(t, FSType)
			mustAttach(t, c, old.trees(t, "meminfo"), "meminfo placed")
			fate(old)
			mustAttach(t, c, fresh.trees(t, "meminfo", "stat"), "meminfo replaced, stat placed")
			if got := c.read("/proc/meminfo"); got != fresh.want("meminfo") {
				t.Errorf("meminfo: %q", got)
			}
			if n := strings.Count(c.mounts(), FSType); n != 2 {
				t.Errorf("%d mounts of ours:\n%s", n, c.mounts())
			}
			fate(fresh)
			mustDetach(t, c, nil, "meminfo removed, stat removed")
			if c.mounts() != before {
				t.Errorf("left: %s", c.mounts())
			}
		})
	}
}

func TestAttachUnstacks(t *testing.T) {
	setup(t)
	c := startContainer(t, 0, "")
	before := c.mounts()
	old, fresh := serve(t, FSType), serve(t, FSType)
	// What a program without our care would have done: three upon one another.
	for range 3 {
		p, err := Open("/proc", c.pid)
		if err != nil {
			t.Fatal(err)
		}
		tree := old.trees(t, "meminfo")[0]
		err = p.inside(t.Context(), func(q *Process, w *work) error {
			table, err := q.mounts()
			if err != nil {
				return err
			}
			s, err := q.look(w, table, "/proc/meminfo", isOurs)
			if err != nil {
				return err
			}
			return s.put(tree)
		})
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	mustAttach(t, c, fresh.trees(t, "meminfo"), "meminfo replaced")
	if n := strings.Count(c.mounts(), FSType); n != 1 || c.read("/proc/meminfo") != fresh.want("meminfo") {
		t.Errorf("%d mounts of ours:\n%s", n, c.mounts())
	}
	mustDetach(t, c, nil, "meminfo removed")
	if c.mounts() != before {
		t.Errorf("left: %s", c.mounts())
	}
}

// A reader who opens again and again never gets the kernel's own file while
// one of our mounts takes the place of another.
func TestReplaceShowsNothingBetween(t *testing.T) {
	setup(t)
	testenv.RequireKernel(t, 6, 5, "MOVE_MOUNT_BENEATH")
	c := startContainer(t, 0, "")
	servers := []*server{serve(t, FSType), serve(t, FSType)}
	mustAttach(t, c, servers[0].trees(t, "meminfo"), "meminfo placed")
	stop, seen := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(seen)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := c.read("/proc/meminfo"); strings.HasPrefix(got, "MemTotal") {
				seen <- got
				return
			}
		}
	}()
	for i := range 200 {
		mustAttach(t, c, servers[(i+1)%2].trees(t, "meminfo"), "meminfo replaced")
	}
	close(stop)
	if got, bad := <-seen; bad {
		t.Errorf("a reader saw the kernel's own: %.60q", got)
	}
}

func TestAttachIsAllOrNothing(t *testing.T) {
	setup(t)
	c := startContainer(t, 0, "mount --bind /dev/null /proc/vmstat")
	old, fresh := serve(t, FSType), serve(t, FSType)
	clean := c.mounts()
	masked, err := OpenTree(old.dir+"/A/stat", "/proc/vmstat")
	if err != nil {
		t.Fatal(err)
	}
	defer masked.Close()
	if _, err := Attach(c.pid, append(old.trees(t, "meminfo"), masked)); !errors.Is(err, ErrCovered) {
		t.Errorf("over a mask: %v", err)
	}
	if got := c.mounts(); got != clean {
		t.Errorf("a refusal changed the mounts to\n%s", got)
	}
	mustAttach(t, c, old.trees(t, "meminfo"), "meminfo placed")
	before := c.mounts()
	// The last tree can't be moved: it isn't a detached mount.
	f, err := os.Open("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	broken := Tree{File: f, Destination: "/proc/version"}
	if _, err := Attach(c.pid, append(fresh.trees(t, "cpuinfo", "meminfo"), broken)); err == nil || !strings.Contains(err.Error(), "/proc/version") {
		t.Errorf("a broken tree: %v", err)
	}
	if got := c.mounts(); got != before {
		t.Errorf("not undone: before\n%s\nafter\n%s", before, got)
	}
	if got := c.read("/proc/meminfo"); got != old.want("meminfo") {
		t.Errorf("meminfo after the undo: %q", got)
	}
	twice := append(fresh.trees(t, "stat"), fresh.trees(t, "stat")...)
	if _, err := Attach(c.pid, twice); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one destination twice: %v", err)
	}
}

func TestAttachOverAnotherProgramsFiles(t *testing.T) {
	setup(t)
	lxcfs, shared, s := serve(t, lxcfsType), serve(t, FSType), serve(t, FSType)
	c := startContainer(t, 0, "mount --bind "+lxcfs.dir+"/A/meminfo /proc/meminfo; mount --bind "+shared.dir+"/proc/meminfo /proc/stat")
	before := c.mounts()
	mustAttach(t, c, s.trees(t, "meminfo", "stat"), "meminfo placed, stat placed")
	if got := c.read("/proc/meminfo"); got != s.want("meminfo") {
		t.Errorf("meminfo: %q", got)
	}
	mustAttach(t, c, s.trees(t, "meminfo", "stat"), "meminfo unchanged, stat unchanged")
	mustDetach(t, c, nil, "meminfo removed, stat removed")
	mustDetach(t, c, nil, "")
	if got := c.mounts(); got != before {
		t.Errorf("mounts before\n%s\nafter\n%s", before, got)
	}
	if got := c.read("/proc/stat"); got != shared.want("meminfo") {
		t.Errorf("the engine's own bind mount: %q", got)
	}
}

func TestPlace(t *testing.T) {
	setup(t)
	s := serve(t, FSType)
	trees := s.trees(t, "meminfo", "meminfo")
	self, err := OpenTree(s.dir+"/A/stat", "/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	done := make(chan error, 1)
	onOwnThread(func() {
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
				return err
			}
			if err := trees[0].Place(nil); err != nil {
				return err
			}
			if b, err := readRaw("/proc/thread-self/root/proc/meminfo"); err != nil || b != s.want("meminfo") {
				t.Errorf("meminfo: %q, %v", b, err)
			}
			if err := trees[1].Place(nil); !errors.Is(err, ErrCovered) {
				t.Errorf("placed twice: %v", err)
			}
			if err := self.Place(nil); !errors.Is(err, ErrCovered) {
				t.Errorf("placed through /proc/self: %v", err)
			}
			return nil
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestOpenTreeRefuses(t *testing.T) {
	setup(t)
	s := serve(t, FSType)
	for _, c := range [][2]string{
		{s.dir + "/A", "/proc/meminfo"},
		{s.dir + "/A/none", "/proc/meminfo"},
		{"/proc/self/exe", "/proc/meminfo"},
		{s.dir + "/A/meminfo", "proc/meminfo"},
		{s.dir + "/A/meminfo", "/etc/passwd"},
		{s.dir + "/A/meminfo", "/proc/../etc/passwd"},
		{s.dir + "/A/meminfo", "/proc"},
	} {
		if tree, err := OpenTree(c[0], c[1]); err == nil {
			tree.Close()
			t.Errorf("OpenTree(%q, %q) succeeded", c[0], c[1])
		}
	}
}

// The thread that enters is never one that goes on: neither the program's
// main thread nor one that comes back to the scheduler.
func TestThreadsStayOutside(t *testing.T) {
	setup(t)
	c := startContainer(t, 0, "")
	s := serve(t, FSType)
	want, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if _, err := Attach(c.pid, s.trees(t, "meminfo")); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		inside := 0
		for _, task := range tasks {
			if got, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/mnt"); err == nil && got != want {
				inside++
			}
		}
		if inside == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d threads are still in the container", inside)
		}
	}
}

// A file system that doesn't answer costs the caller his patience, not more,
// and what was done before is undone once it does answer.
func TestAbandonedWorkIsUndone(t *testing.T) {
	setup(t)
	c := startContainer(t, 0, "")
	p, err := Open("/proc", c.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	answer, undone := make(chan struct{}), make(chan struct{})
	err = p.inside(ctx, func(_ *Process, w *work) error {
		err := w.step(func() error { return nil }, func() error { close(undone); return nil })
		cancel()
		<-answer
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("abandoned: %v", err)
	}
	select {
	case <-undone:
		t.Error("undone while the thread still waits")
	default:
	}
	close(answer)
	<-undone
}
