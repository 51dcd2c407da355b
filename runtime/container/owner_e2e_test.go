// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
	"github.com/procfs-shim/procfs-shim/runtime/container"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

func say(what any) { _, _ = fmt.Fprintln(os.Stdout, what) }

// ownerMain is a program that runs one container and says when it does:
// $PROCFS_SHIM_TEST_OWNER names the state directory, the root file system and
// the step after which it waits to be killed.
func ownerMain() int {
	goruntime.LockOSThread()
	var dir, root, id, at string
	if _, err := fmt.Sscan(os.Getenv(ownerVariable), &dir, &root, &id, &at); err != nil {
		say(err)
		return 1
	}
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		say(err)
		return 1
	}
	layers := rootfs.Layers(filepath.Join(dir, "layers"), root)
	config := container.Config{
		ID: id, Spec: config(layers.Target), CgroupPath: "/procfs-shim/" + id, Layout: layout, StateDir: dir,
		Overlay: &layers, Dirs: []string{filepath.Join(dir, "layers")}, Stdout: os.Stdout,
	}
	wait := func(step string) {
		if step == at {
			say("waiting")
			select {}
		}
	}
	if err := layers.Prepare(); err != nil {
		say(err)
		return 1
	}
	config.Views = step{func() { wait("parked") }}
	// It daemonizes, too: what is left may not keep running in any session.
	config.Spec.Process.Args = []string{"sh", "-c", "trap '' HUP TERM; (sleep 1000 &); while :; do sleep 1; done"}
	c, err := container.Create(context.Background(), config)
	if err != nil {
		say(err)
		return 1
	}
	wait("created")
	if err := c.Start(); err != nil {
		say(err)
		return 1
	}
	wait("running")
	return 0
}

// step is a viewer that only tells when it is asked.
type step struct{ reached func() }

func (s step) Views(context.Context, cgroupread.Paths, int) ([]attach.Tree, error) {
	s.reached()
	return nil, nil
}

// After kill -9 of the owner its container ends within a second, and the next
// start removes the rest.
func TestKilledOwner(t *testing.T) {
	for _, at := range []string{"parked", "created", "running"} {
		t.Run(at, func(t *testing.T) {
			s := prepare(t)
			if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
				t.Fatal(err)
			}
			owner := exec.Command("/proc/self/exe")
			owner.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s", ownerVariable, s.StateDir, s.Spec.Root.Path, s.ID, at))
			out, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || line != "waiting\n" {
				t.Errorf("owner says %q, %v", line, err)
			}
			store := state.New(s.StateDir, "/proc", slog.New(slog.DiscardHandler))
			record, err := store.Load(s.ID)
			if err != nil || !record.Init.Alive("/proc") {
				t.Errorf("record %+v, %v", record, err)
			}
			if err := store.Sweep(t.Context(), container.Cgroups(s.Layout)); err != nil || !record.Init.Alive("/proc") {
				t.Errorf("swept while its owner lives: %v", err)
			}
			if err := owner.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = owner.Wait()
			for deadline := time.Now().Add(time.Second); record.Init.Alive("/proc"); {
				if time.Now().After(deadline) {
					t.Fatal("init lives a second after its owner")
				}
				time.Sleep(5 * time.Millisecond)
			}
			if err := container.Sweep(t.Context(), s.StateDir, "/proc", s.Layout, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
			if _, err := cgroup.Open(s.Layout, s.CgroupPath); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("cgroup: %v", err)
			}
			if _, err := os.Lstat(record.Dirs[0]); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("layers: %v", err)
			}
		})
	}
}
