// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hungVariable tells the re-executed test where to mount.
const hungVariable = "PROCFS_SHIM_TEST_HUNG"

// TestAbortFreesHungReader makes a FUSE mount that nobody serves, in a mount
// namespace of its own, and reads it: only an abort brings the reader back.
func TestAbortFreesHungReader(t *testing.T) {
	RequireFUSE(t)
	if target := os.Getenv(hungVariable); target != "" {
		hang(t, target)
		return
	}
	NoLeaks(t)
	RequireTool(t, "unshare")
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self := exec.Command("unshare", "--mount", "--propagation", "private",
		executable, "-test.run=^TestAbortFreesHungReader$", "-test.v")
	self.Env = append(os.Environ(), hungVariable+"="+t.TempDir())
	if out, err := self.CombinedOutput(); err != nil {
		t.Errorf("in the private namespace: %v\n%s", err, out)
	}
}

func hang(t *testing.T, target string) {
	before, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dev.Close() }()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev.Fd())
	if err := unix.Mount("hung", target, "fuse.hung", unix.MS_RDONLY, options); err != nil {
		t.Fatalf("mount: %v", err)
	}
	connection, err := Connection(target)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan error)
	go func() {
		var got unix.Stat_t
		came <- unix.Stat(target+"/file", &got)
	}()
	select {
	case err := <-came:
		t.Errorf("the reader came back without a server: %v", err)
	case <-time.After(100 * time.Millisecond): // nobody answers, so it would wait for ever
	}
	if err := AbortFUSE(connection); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-came:
		if err == nil {
			t.Error("the reader got an answer that nobody gave")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the reader hangs in spite of the abort")
	}

	leaks, err := before.Since()
	if err != nil {
		t.Fatal(err)
	}
	removed := false
	for _, leak := range leaks {
		if leak.Kind == Mounts {
			removed = true
			if err := abortMount(leak.Key); err != nil {
				t.Error(err)
			}
		}
	}
	if !removed {
		t.Errorf("the mount is not among the leaks:\n%s", Report(leaks))
	}
	if _, err := Connection(target); err == nil {
		t.Error("the mount is still there")
	}
}
