// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/ownviews"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// server is one that containers can be made known to: the running daemon, or a
// server of one's own.
type server interface {
	Register(context.Context, daemon.Registration) (daemon.Registered, error)
	Unregister(context.Context, string) error
	Close() error
}

// viewer gives the container of one `run` its views; the runtime calls it when
// cgroup and init exist and nothing is mounted in the container yet.
type viewer struct {
	id     string
	server server
	// choices are those of the flags; with a server of its own, the configuration
	// file's below them.
	choices policy.Choices
	// own is the server if it is this container's alone; then its trees still
	// have to be mounted.
	own *daemon.Own
	// stateDir is where own's trees are mounted for the moment it takes to open
	// the files, in the private mount namespace of the calling thread.
	stateDir string
}

// newViewer takes the daemon of stateDir, or starts a server for the container
// id, which has no rules: these are then applied here. It must be called before
// the thread enters a namespace of its own.
func newViewer(id, stateDir string, rules policy.Rules, choices policy.Choices) (*viewer, error) {
	client, err := daemon.Dial(stateDir)
	if err == nil {
		return &viewer{id: id, server: client, choices: choices}, nil
	}
	if !errors.Is(err, daemon.ErrNotRunning) {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	own, err := daemon.SpawnOwn(self)
	if err != nil {
		return nil, err
	}
	return &viewer{id: id, server: own, choices: rules.For(subject(id), choices), own: own, stateDir: stateDir}, nil
}

// subject is a container of `run`, for rules.
func subject(id string) policy.Subject {
	return policy.Subject{Engine: discover.Shim, ID: id, Name: id}
}

// Views implements container.Viewer.
func (v *viewer) Views(ctx context.Context, cg cgroupread.Paths, initPID int) (trees []attach.Tree, err error) {
	if v.own != nil {
		target := filepath.Join(containerDir(v.stateDir, v.id), "views")
		if err := os.Mkdir(target, 0o700); err != nil {
			return nil, fmt.Errorf("views: %w", err)
		}
		if err := v.own.Mount(target); err != nil {
			return nil, err
		}
		// The open files keep the file systems alive; their mounts have served their
		// purpose, and would be in the way when the directory is removed.
		defer func() {
			if unmountErr := v.own.Unmount(); unmountErr != nil {
				cover.CloseTrees(trees)
				trees, err = nil, errors.Join(err, fmt.Errorf("views: %w", unmountErr))
			}
		}()
	}
	reg, err := v.server.Register(ctx, daemon.Registration{
		ID: v.id, Container: subject(v.id), Cgroup: cg, InitPID: initPID, Choices: v.choices, Owned: true,
	})
	if err != nil {
		return nil, err
	}
	trees, err = cover.OpenTrees(reg.Path, reg.Files)
	if err == nil && v.own != nil {
		err = v.writeDown(reg, trees)
	}
	if err != nil {
		cover.CloseTrees(trees)
		return nil, err
	}
	return trees, nil
}

// writeDown leaves for `status` what nobody can ask an own server.
func (v *viewer) writeDown(reg daemon.Registered, trees []attach.Tree) error {
	var devices []ownviews.Device
	for _, t := range trees {
		d, err := attach.DeviceOf(t.File)
		if err != nil {
			return err
		}
		if !slices.Contains(devices, ownviews.Device(d)) {
			devices = append(devices, ownviews.Device(d))
		}
	}
	if devices == nil {
		return nil
	}
	return ownviews.Write(containerDir(v.stateDir, v.id), ownviews.Views{
		Devices: devices, Policy: reg.Policy, Choices: v.choices,
	})
}

// Close ends the registration, and the server if it was this container's.
func (v *viewer) Close() error {
	return errors.Join(v.server.Unregister(context.Background(), v.id), v.server.Close())
}

// runOwnServer is the hidden command own-server: see daemon.ServeOwn.
func runOwnServer() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := daemon.ServeOwn(ctx, daemon.TakeInherited(), log); err != nil {
		log.Error("own server ended", "error", err)
		return exitFailure
	}
	return exitOK
}

// containerDir is where the state of one container of `run` is.
func containerDir(stateDir, id string) string { return filepath.Join(stateDir, "containers", id) }
