// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// lateStatic is how late a change may be seen in a static file on a machine that
// has other things to do.
const lateStatic = 10 * soonStatic

// A span is a pass over a file.
type span struct {
	begun, ended time.Time
	text, how    string
}

// ways are ways of reading a file of which each pass gives the whole.
func ways(path string) map[string]func() (string, error) {
	all := map[string]func() (string, error){
		"mmap": func() (string, error) { return byMmap(path) }, "sendfile": func() (string, error) { return bySendfile(path) },
	}
	for _, size := range sizes() {
		all[fmt.Sprintf("reads of %d bytes", size)] = func() (text string, err error) {
			err = withOpen(path, func(fd int) error {
				text, err = pass(fd, size)
				return err
			})
			return text, err
		}
	}
	return all
}

// byMmap reads through a mapping, as long as the file then is.
func byMmap(path string) (text string, err error) {
	err = withOpen(path, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("stat: %w", err)
		}
		b, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		text = string(b) // its pages don't go, whatever the file says later
		return unix.Munmap(b)
	})
	return text, err
}

// TestStaticPasses changes the quota again and again while static files are read
// in all ways, also through descriptors that stay open. A pass that begins later
// after a change than it may take to be seen, and ends before the next one, has
// that text and no other.
func TestStaticPasses(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	s := served.Start(t)
	cg := served.NewCgroup(t, "passes")
	cg.SetCPUSet("0-1")
	s.Add("passes", cg)
	for _, file := range []string{"proc/cpuinfo", "sys/devices/system/cpu/online"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			path := filepath.Join(s.StaticDir("passes"), file)
			texts := map[float64]string{}
			for _, cpus := range []float64{1, 2} {
				cg.SetCPUs(cpus)
				time.Sleep(lateStatic)
				text, err := byReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				texts[cpus] = essence(text)
			}
			if texts[1] == texts[2] {
				t.Fatalf("one CPU shows as two do:\n%s", texts[1])
			}
			passed, stop := watch(t, path)
			type change struct {
				at   time.Time
				cpus float64
			}
			var changes []change
			for i := range 8 {
				cpus := float64(1 + i%2)
				before := time.Now()
				cg.SetCPUs(cpus)
				changes = append(changes, change{before, cpus})
				time.Sleep(3 * lateStatic)
			}
			stop()
			settled, mixed := 0, 0
			for _, p := range *passed {
				text := essence(p.text)
				for i, c := range changes {
					if p.begun.Before(c.at.Add(lateStatic)) || i+1 < len(changes) && p.ended.After(changes[i+1].at) {
						continue
					}
					settled++
					if text != texts[c.cpus] {
						t.Errorf("%s: a pass that began %v after %g CPUs were set: %q", p.how, p.begun.Sub(c.at), c.cpus, p.text)
					}
				}
				if text != texts[1] && text != texts[2] {
					mixed++
				}
			}
			t.Logf("%d passes, %d of them settled; %d saw parts of two versions", len(*passed), settled, mixed)
			if settled < 100 {
				t.Errorf("only %d passes are worth judging", settled)
			}
		})
	}
}

// watch reads a file in all ways until stop is called.
func watch(t *testing.T, path string) (passed *[]span, stop func()) {
	t.Helper()
	var mu sync.Mutex
	var done atomic.Bool
	var all sync.WaitGroup
	passed = new([]span)
	keep := func(how string, read func() (string, error)) {
		all.Go(func() {
			for !done.Load() {
				p := span{begun: time.Now(), how: how}
				var err error
				if p.text, err = read(); err != nil {
					t.Errorf("%s: %v", how, err)
					return
				}
				p.ended = time.Now()
				mu.Lock()
				*passed = append(*passed, p)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	for how, read := range ways(path) {
		keep(how, read)
	}
	fd, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	keep("pread on an open descriptor", func() (string, error) { return passFrom(fd, 4096, 0) })
	return passed, func() {
		done.Store(true)
		all.Wait()
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}

// The kernel knows a static file's text without an open file, and its exact size;
// nothing of that goes for the other trees.
func TestStaticIsKept(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "kept")
	bound := s.Add("kept", cg)
	for _, file := range staticFiles() {
		snapshotOf := func(dir string) (err error) {
			return withOpen(filepath.Join(dir, file), func(fd int) error {
				_, err := unix.IoctlGetInt(fd, 2<<30|8<<16|'p'<<8|1)
				return err
			})
		}
		if err := snapshotOf(s.StaticDir("kept")); err != nil {
			t.Errorf("%s: its text before it is read: %v", file, err)
		}
		if err := snapshotOf(bound); err == nil {
			t.Errorf("%s: a live file has a text before it is read", file)
		}
		path := filepath.Join(s.StaticDir("kept"), file)
		text, err := byReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Size() != int64(len(text)) {
			t.Errorf("%s: %+v, %v; its text has %d bytes", file, st, err, len(text))
		}
		if mapped, err := byMmap(path); err != nil || essence(mapped) != essence(text) {
			t.Errorf("%s: mapped: %q, %v", file, mapped, err)
		}
	}
}

// A container that isn't read for long is seen as it is.
func TestStaticUnread(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	s := served.Start(t)
	cg := served.NewCgroup(t, "unread")
	cg.SetCPUSet("0-1")
	s.Add("unread", cg)
	path := filepath.Join(s.StaticDir("unread"), "sys/devices/system/cpu/online")
	fd, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	for i, want := range []string{"0\n", "0-1\n", "0\n"} {
		cg.SetCPUs(float64(1 + i%2))
		time.Sleep(2 * time.Second)
		if text, err := pread(fd, 100, 0); err != nil || text != want {
			t.Errorf("an open descriptor: %q, %v, want %q", text, err, want)
		}
		if text, err := byReadFile(path); err != nil || text != want {
			t.Errorf("%q, %v, want %q", text, err, want)
		}
	}
}

// The cgroup goes: the last good text, and an error once the container is removed
// from the tree, also for what the kernel kept and for who has it open.
func TestStaticGone(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "static-gone")
	s.Add("static-gone", cg)
	before, fds := map[string]string{}, map[string]int{}
	for _, file := range staticFiles() {
		path := filepath.Join(s.StaticDir("static-gone"), file)
		text, err := byReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) }) // it was only read
		before[path], fds[path] = essence(text), fd
	}
	cg.Remove()
	time.Sleep(lateStatic)
	for path, want := range before {
		if text, err := byReadFile(path); err != nil || essence(text) != want {
			t.Errorf("%s: not the last good text: %q, %v", path, text, err)
		}
	}
	if counts := s.Errors("static-gone"); counts["cgroup-gone"] == 0 {
		t.Errorf("counted %v", counts)
	}
	s.Remove("static-gone")
	time.Sleep(lateStatic)
	for path, fd := range fds {
		if text, err := byReadFile(path); err == nil {
			t.Errorf("%s: %q of a container that was removed", path, text)
		}
		if text, err := pread(fd, 100, 0); err == nil {
			t.Errorf("%s: %q of a container that was removed, through an open descriptor", path, text)
		}
	}
}

// What never could be told is an error to read, not to look at.
func TestStaticGoneBeforeFirstRead(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "static-never")
	s.Add("static-never", cg)
	cg.Remove()
	for _, file := range staticFiles() {
		path := filepath.Join(s.StaticDir("static-never"), file)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if text, err := byReadFile(path); err == nil || !strings.Contains(err.Error(), unix.EIO.Error()) {
			t.Errorf("%s: %q, %v; want EIO", file, text, err)
		}
	}
}
