// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// shared runs `procfs-shim serve` until the test ends, and gives the directory of
// its shared tree.
func shared(t *testing.T) string {
	t.Helper()
	testenv.RequireFUSE(t)
	dir := t.TempDir()
	tree := filepath.Join(dir, "shared")
	serve := exec.Command(testenv.Binary(t), "serve", "--state-dir", dir, tree)
	var said strings.Builder
	serve.Stderr = &said
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(serve.Process.Signal(unix.SIGTERM), serve.Wait()); err != nil {
			t.Errorf("serve: %v: %s", err, said.String())
		}
	})
	until(t, "the server answers", func() bool {
		_, err := os.Stat(filepath.Join(dir, "control.sock"))
		return err == nil
	})
	return tree
}

// make makes the cgroup in the memory controller's hierarchy and limits it.
func (c cgroup) make(t *testing.T, limit int64) {
	t.Helper()
	dir := c.file("memory", "")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		until(t, "rmdir "+dir, func() bool { return !errors.Is(unix.Rmdir(dir), unix.EBUSY) })
	})
	name := "memory.limit_in_bytes"
	if c.v2 {
		name = "memory.max"
	}
	c.write(t, "memory", name, strconv.FormatInt(limit, 10))
}

// begin starts a command in the cgroup: with "go" on its standard input once it
// is there.
func (c cgroup) begin(t *testing.T, cmd *exec.Cmd) io.Closer {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.write(t, "memory", "cgroup.procs", strconv.Itoa(cmd.Process.Pid))
	if _, err := io.WriteString(in, "go\n"); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestFreeOfLevels compares free, by the shared tree, with the files of two
// levels of limits, while a neighbour uses what the upper one leaves.
//
//	procfs-shim-truth-PID   96M, uses 0 → 48M
//	├── reader              128M: what it sees is bound by the level above
//	└── neighbour           no limit, uses 48M
func TestFreeOfLevels(t *testing.T) {
	testenv.RequireTool(t, "free")
	testenv.RequireTool(t, "unshare")
	testenv.NoLeaks(t)
	tree := shared(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := cgroupAt(t, fmt.Sprintf("/procfs-shim-truth-%d", os.Getpid()))
	reader, neighbour := parent, parent
	reader.path += "/reader"
	neighbour.path += "/neighbour"
	parent.make(t, 96*mib)
	if parent.v2 {
		parent.write(t, "memory", "cgroup.subtree_control", "+memory")
	}
	reader.make(t, 128*mib)
	neighbour.make(t, 1<<40)

	free := func() memory {
		var out strings.Builder
		// Only its own mount namespace has our file.
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
			`read go; mount --bind "$0" /proc/meminfo && exec `+freeScript, filepath.Join(tree, "proc/meminfo"))
		cmd.Stdout, cmd.Stderr = &out, &out
		in := reader.begin(t, cmd)
		if err := errors.Join(cmd.Wait(), in.Close()); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Fatalf("free: %v: %s", err, out.String())
		}
		return parseFree(t, out.String())
	}
	before := compareMemory(t, "free", free, reader, parent)
	hold := exec.Command(self, partHold, strconv.Itoa(48*mib))
	in := neighbour.begin(t, hold)
	until(t, "the neighbour holds 48 MiB", func() bool {
		_, usage, _, err := neighbour.memory()
		return err == nil && usage >= 48*mib
	})
	after := compareMemory(t, "free", free, reader, parent)
	if err := errors.Join(in.Close(), hold.Wait()); err != nil {
		t.Error(err)
	}
	if before["total"] != 96*mib || after["total"] != 96*mib {
		t.Errorf("free shows a total of %d and %d bytes under 96 MiB", before["total"], after["total"])
	}
	if taken := before["free"] - after["free"]; taken < 40*mib || taken > 56*mib {
		t.Errorf("the neighbour took 48 MiB of what both have, free shows %d bytes less", taken)
	}
}
