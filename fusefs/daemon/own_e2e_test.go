// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestOwnServer goes the way of a `run` that ends well.
func TestOwnServer(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := testDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, err := SpawnOwn(self)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close() //nolint:errcheck // closed below, unless the test fails
	if err := own.Mount(dir); err != nil {
		t.Fatal(err)
	}
	defer own.Unmount() //nolint:errcheck // unmounted below, unless the test fails
	init := livingProcess(t)
	reg, err := own.Register(t.Context(), Registration{ID: "run", Cgroup: mustCgroup(t), InitPID: pidOf(init), Owned: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, own.Log())
	}
	readAll(t, dir, reg)
	if sid, err := unix.Getsid(own.server.Pid); err != nil || sid != own.server.Pid {
		t.Errorf("session of the own server: %d, %v; its process is %d", sid, err, own.server.Pid)
	}
	if err := own.Unregister(t.Context(), "run"); err != nil {
		t.Error(err)
	}
	if err := own.Unmount(); err != nil {
		t.Error(err)
	}
	if err := own.Close(); err != nil {
		t.Errorf("close: %v\n%s", err, own.Log())
	}
	if gone(pidOf(init)) {
		t.Error("an init process that was unregistered before was killed")
	}
}

// TestOwnServerNeverUsed: nothing was mounted, nothing registered.
func TestOwnServerNeverUsed(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, err := SpawnOwn(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
}

// TestOwnServerToldToEnd: it takes the container along, rather than leave it
// with files that nobody answers.
func TestOwnServerToldToEnd(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, err := SpawnOwn(self)
	if err != nil {
		t.Fatal(err)
	}
	init := livingProcess(t)
	if _, err := own.Register(t.Context(), Registration{ID: "run", Cgroup: mustCgroup(t), InitPID: pidOf(init), Owned: true}); err != nil {
		t.Fatalf("%v\n%s", err, own.Log())
	}
	if err := own.server.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the container is gone", func() bool { return gone(pidOf(init)) })
	if err := own.Close(); err != nil {
		t.Errorf("close: %v\n%s", err, own.Log())
	}
}

// TestOwnServerFails: a program that isn't ours says why it ended.
func TestOwnServerFails(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	if _, err := SpawnOwn("/nowhere"); err == nil {
		t.Error("a program that isn't there was started")
	}
	own, err := SpawnOwn(testenv.RequireTool(t, "ls")) // `ls own-server` complains and ends
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Register(t.Context(), Registration{ID: "run", Cgroup: mustCgroup(t), InitPID: os.Getpid()}); err == nil || !strings.Contains(err.Error(), OwnServerCommand) {
		t.Errorf("register with it: %v", err)
	}
	if err := own.Close(); err == nil {
		t.Error("no error at its end")
	}
}

// TestOwnServerOutlivesTerminal: a stopped `run` blocks no read, and a killed
// one takes its container and its server with it within a second.
func TestOwnServerOutlivesTerminal(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	run := startProgram(t, runRole, testDir(t))
	var pid int
	var dir string
	if _, err := fmt.Sscan(run.line(t), &pid, &dir); err != nil {
		t.Fatal(err)
	}
	meminfo := filepath.Join("/proc", strconv.Itoa(pid), "root", dir, "proc/meminfo")
	if err := run.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The mount is in another mount namespace: there is nothing to abort here,
	// the end of the own server frees a reader.
	result := make(chan error, 1)
	go func() {
		text, err := os.ReadFile(meminfo)
		if err == nil && !strings.HasPrefix(string(text), "MemTotal:") {
			err = fmt.Errorf("content %.40q", text)
		}
		result <- err
	}()
	select {
	case err := <-result:
		if err != nil {
			t.Errorf("read while `run` is stopped: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a read hangs while `run` is stopped")
	}
	start := time.Now()
	if err := run.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	run.cmd.Wait() //nolint:errcheck // killed
	eventually(t, "the container is gone", func() bool { return gone(pid) })
	if took := time.Since(start); took > time.Second {
		t.Errorf("its init process lived for %v after `run`", took)
	}
	// NoLeaks finds the own server if it doesn't end.
}
