// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// A cgroup that goes while its files are read: the last good text, then errors,
// never an empty file; and the server goes on for others.
func TestCgroupVanishes(t *testing.T) {
	s := served.Start(t)
	cg, other := served.NewCgroup(t, "vanishes"), served.NewCgroup(t, "stays")
	cg.SetMemory(70 * mib)
	other.SetMemory(60 * mib)
	dir, otherDir := s.Add("vanishes", cg), s.Add("stays", other)
	var stop atomic.Bool
	var all sync.WaitGroup
	for _, file := range files() {
		path := filepath.Join(dir, file)
		if _, err := byReadFile(path); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for !stop.Load() {
				text, err := byReadFile(path)
				if err == nil && text == "" && empty()[file] == "" {
					err = errors.New("an empty file")
				}
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
			}
		})
	}
	cg.Remove()
	_, err := await("the removal", func() (bool, error) {
		text, err := byReadFile(filepath.Join(dir, "proc/meminfo"))
		if got := memTotal(t, text, err); got != 70*mib {
			t.Errorf("MemTotal is %d MiB", got/mib)
		}
		return s.Errors("vanishes")["cgroup-gone"] > 0, nil
	})
	if err != nil {
		t.Error(err)
	}
	stop.Store(true)
	all.Wait()
	if text, err := byReadFile(filepath.Join(otherDir, "proc/meminfo")); memTotal(t, text, err) != 60*mib {
		t.Errorf("another container is told wrong")
	}
	s.Remove("vanishes")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed container's directory: %v", err)
	}
}

// A container that was never read has no last good text.
func TestGoneBeforeFirstRead(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "gone")
	dir := s.Add("gone", cg)
	cg.Remove()
	for _, file := range files() {
		if file == "proc/uptime" {
			continue // the host's: nobody said which process is init
		}
		if text, err := byReadFile(filepath.Join(dir, file)); !errors.Is(err, unix.EIO) {
			t.Errorf("%s: %q, %v; want EIO", file, text, err)
		}
	}
}

// An open file of a container that was removed from the tree.
func TestRemovedWhileOpen(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "removed")
	path := filepath.Join(s.Add("removed", cg), "proc/meminfo")
	err := withOpen(path, func(fd int) error {
		if _, err := pread(fd, 100, 0); err != nil {
			return err
		}
		s.Remove("removed")
		for _, offset := range []int64{0, 50} {
			if text, err := pread(fd, 100, offset); err == nil {
				return fmt.Errorf("at %d: %q after the container was removed", offset, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The server is killed: readers get an error at once, none hangs.
func TestServerKilled(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "killed")
	path := filepath.Join(s.Add("killed", cg), "proc/meminfo")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
				if _, err := byReadFile(path); err != nil {
					return
				}
			}
			t.Error("the readers never got an error")
		})
	}
	s.Kill()
	all.Wait()
	for _, at := range []string{s.Shared, s.Bound, s.Static} {
		var st unix.Statfs_t
		if err := unix.Statfs(at, &st); !errors.Is(err, unix.ENOTCONN) {
			t.Errorf("%s of a server that was killed: %v", at, err)
		}
	}
}

// Readers that are killed in the middle of a read cost the server nothing that
// stays.
func TestReadersKilled(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "readers")
	path := filepath.Join(s.Add("readers", cg), "proc/meminfo")
	if _, err := byReadFile(path); err != nil { // which may open what stays open
		t.Fatal(err)
	}
	round := func() {
		for range 20 {
			cmd := exec.Command("dd", "bs=1", "if="+path, "of=/dev/null")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // killed
		}
	}
	round()
	before := s.Usage()
	for range 5 {
		round()
	}
	after := s.Usage()
	t.Logf("before %+v, after %+v", before, after)
	// Go keeps threads that it once needed, at most those of all requests that
	// can be in flight.
	const inFlight = 64
	if after.Descriptors > before.Descriptors || after.Threads > before.Threads+inFlight {
		t.Errorf("the server holds %+v after 100 killed readers, %+v before", after, before)
	}
	if text, err := byReadFile(path); err != nil || text == "" {
		t.Errorf("after 100 killed readers: %q, %v", text, err)
	}
}

// Descriptors that nobody closes cost the server no memory to speak of, whether
// they are read or not.
func TestOpenDescriptorsAreCheap(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "open")
	path := filepath.Join(s.Add("open", cg), "proc/meminfo")
	if _, err := byReadFile(path); err != nil { // which may open what stays open
		t.Fatal(err)
	}
	before := s.Usage()
	n := 10_000
	if testenv.InGuest() {
		n = 1000
	}
	fds, err := openMany(path, n)
	defer func() {
		if err := closeAll(fds); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	opened := s.Usage()
	for _, fd := range fds {
		if _, err := pread(fd, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	read := s.Usage()
	t.Logf("before %+v, %d open %+v, all read %+v", before, n, opened, read)
	if read.Descriptors > before.Descriptors || read.RSS > before.RSS+32*mib {
		t.Errorf("the server holds %+v with %d files open, %+v before", read, n, before)
	}
}
