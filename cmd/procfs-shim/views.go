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

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
)

// registrar is a server that containers can be made known to: the running
// daemon, or a server of one's own.
type registrar interface {
	Register(context.Context, daemon.Registration) (daemon.Registered, error)
	Unregister(context.Context, string) error
	Close() error
}

// viewer gives the container of one `run` its views; the runtime calls it when
// cgroup and init exist and nothing is mounted in the container yet.
type viewer struct {
	id     string
	server registrar
	// own is the server if it is this container's alone; then its tree still
	// has to be mounted.
	own *daemon.Own
	// stateDir is where own's tree is mounted for the moment it takes to open
	// the files, in the private mount namespace of the calling thread.
	stateDir string
}

// newViewer takes the daemon of stateDir, or starts a server for the container
// id. It must be called before the thread enters a namespace of its own.
func newViewer(id, stateDir string) (*viewer, error) {
	client, err := daemon.Dial(stateDir)
	if err == nil {
		return &viewer{id: id, server: client}, nil
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
	return &viewer{id: id, server: own, own: own, stateDir: stateDir}, nil
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
		// The open files keep the file system alive; its mount has served its
		// purpose, and would be in the way when the directory is removed.
		defer func() {
			if unmountErr := unix.Unmount(target, unix.MNT_DETACH); unmountErr != nil {
				closeTrees(trees)
				trees, err = nil, errors.Join(err, fmt.Errorf("views: unmount %s: %w", target, unmountErr))
			}
		}()
	}
	reg, err := v.server.Register(ctx, daemon.Registration{ID: v.id, Cgroup: cg, InitPID: initPID, Owned: true})
	if err != nil {
		return nil, err
	}
	trees, err = openTrees(reg.Dir, reg.Files)
	if err == nil && v.own != nil {
		err = writeOwnDevice(v.stateDir, v.id, trees)
	}
	if err != nil {
		closeTrees(trees)
		return nil, err
	}
	return trees, nil
}

// Close ends the registration, and the server if it was this container's.
func (v *viewer) Close() error {
	return errors.Join(v.server.Unregister(context.Background(), v.id), v.server.Close())
}

// runOwnServer is the hidden command own-server: see daemon.ServeOwn.
func runOwnServer() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	dev := os.NewFile(daemon.DeviceFD, "/dev/fuse")
	control := os.NewFile(daemon.ControlFD, "control")
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := daemon.ServeOwn(ctx, dev, control, log); err != nil {
		log.Error("own server ended", "error", err)
		return exitFailure
	}
	return exitOK
}

// containerDir is where the state of one container of `run` is.
func containerDir(stateDir, id string) string { return filepath.Join(stateDir, "containers", id) }

// ownDevice is the file in a container's directory that names the file system
// that its own server serves, so that `status` can tell that server's files
// from those of a daemon that is gone.
const ownDevice = "views-device"

func writeOwnDevice(stateDir, id string, trees []attach.Tree) error {
	if len(trees) == 0 {
		return nil
	}
	device, err := attach.DeviceOf(trees[0].File) // they are all of one tree
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(containerDir(stateDir, id), ownDevice), []byte(device.String()), 0o600); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return nil
}

// readOwnDevice gives none for a container that a daemon serves.
func readOwnDevice(stateDir, id string) ([]attach.Device, error) {
	path := filepath.Join(containerDir(stateDir, id), ownDevice)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	var d attach.Device
	if _, err := fmt.Sscanf(string(text), "%d:%d", &d.Major, &d.Minor); err != nil {
		return nil, fmt.Errorf("status: %s: %q is no device number: %w", path, text, err)
	}
	return []attach.Device{d}, nil
}

// openTrees opens one detached mount for each file below dir, the directory
// that a server made for the container.
func openTrees(dir string, files []string) ([]attach.Tree, error) {
	var trees []attach.Tree
	for _, f := range files {
		t, err := attach.OpenTree(filepath.Join(dir, f), "/"+f)
		if err != nil {
			closeTrees(trees)
			return nil, err
		}
		trees = append(trees, t)
	}
	return trees, nil
}

func closeTrees(trees []attach.Tree) {
	for _, t := range trees {
		t.File.Close()
	}
}
