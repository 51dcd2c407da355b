// SPDX-License-Identifier: Apache-2.0

// Package foreground runs one container in the foreground, from the options of
// `procfs-shim run` to the exit status of its command.
//
// It adds nothing to how a process starts: it puts together what the other
// packages of runtime/ do. Options become an OCI config (bundle), a directory
// becomes the lowerdir of an overlay with a writable layer of the container's
// own (rootfs), both become a container (container), whose terminal is the
// caller's (console), and in the end all of it is removed.
//
// # Where things are
//
//	STATEDIR/containers/ID   lock and record (package state)
//	DATADIR/containers/ID    upperdir, workdir and the mount point of the overlay
//	/procfs-shim/ID          the cgroup, in every hierarchy
//
// ID is the container's name if it was given one. The directories are
// in the record before they are made. The overlay is mounted by the container's
// init in its own mount namespace, and what the caller's views mount goes to
// the private mount namespace of the thread that called Run: the host never
// sees a mount, and none is left, whatever kills this process.
package foreground

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/bundle"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
	"github.com/procfs-shim/procfs-shim/runtime/console"
	"github.com/procfs-shim/procfs-shim/runtime/container"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// prepareTries is how often the directories are tried to be made while others
// remove their empty parents.
const prepareTries = 10

// Config says what to run and where.
type Config struct {
	// Options are the flags' values. ID is filled in by Run.
	Options bundle.Options
	// Rootfs is the directory that the container's root file system starts
	// from; it is never written to.
	Rootfs string
	// Mounts are added to those of Options.
	Mounts []specs.Mount
	// StateDir and DataDir are where state and writable layers go.
	StateDir, DataDir string
	// StartViews starts what gives the container its views, before any namespace
	// is made; nil for a container without.
	StartViews func(id string) (Views, error)
	// Stdin, Stdout and Stderr are the container's, or with Options.TTY the
	// terminal's other side. Stdin may be nil.
	Stdin, Stdout, Stderr *os.File
	// Log takes warnings.
	Log *slog.Logger
}

// Views gives a container its views as long as it isn't closed.
type Views interface {
	container.Viewer
	Close() error
}

// Run runs the container until its command has ended and gives its exit
// status. With an error it is what to exit with: 126 or 127 if the command
// can't be executed, else 125. When Run returns, nothing of the container is
// left, or the error says what. ctx can end the making of the container; once
// its command runs, signals that this process gets are the command's.
//
// Run locks the calling goroutine to its thread, which gets a mount namespace
// of its own: the caller has nothing left to do but to exit.
func Run(ctx context.Context, c Config) (status int, err error) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return container.ExitStatus(err), err
	}
	// What is left of others is no reason not to run this one.
	if err := container.Sweep(ctx, c.StateDir, "/proc", layout, c.Log); err != nil {
		c.Log.Warn("leftovers could not be removed", "error", err)
	}
	r := run{Config: c, layout: layout}
	if err := r.prepare(); err != nil {
		return container.ExitStatus(err), err
	}
	if err := r.claim(ctx); err != nil {
		return container.ExitStatus(err), errors.Join(err, r.close())
	}
	ctr, err := r.create(ctx)
	if err != nil {
		return container.ExitStatus(err), errors.Join(err, r.close())
	}
	status, err = r.attend(ctr)
	return status, errors.Join(err, r.remove(ctr))
}

// run is one container in the making.
type run struct {
	Config
	layout *cgroupread.Layout
	host   bundle.Host
	id     string
	entry  *state.Entry
	layers rootfs.Overlay
	views  Views
}

// prepare checks everything that can be checked before something is made.
func (r *run) prepare() error {
	id, err := newID()
	if err != nil {
		return err
	}
	r.Options.ID, r.id = id, id
	if r.Options.Name != "" {
		r.id = r.Options.Name
	}
	if err := state.CheckID(r.id); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	if r.host, err = bundle.ReadHost("/proc", "/sys", r.layout); err != nil {
		return err
	}
	if err := r.Options.Validate(r.host); err != nil {
		return err
	}
	if r.Options.TTY {
		if err := console.RequireTerminal(r.Stdin); err != nil {
			return fmt.Errorf("--tty: %w", err)
		}
	}
	if r.Rootfs, err = filepath.Abs(r.Rootfs); err != nil {
		return fmt.Errorf("--rootfs: %w", err)
	}
	info, err := os.Stat(r.Rootfs)
	if err != nil {
		return fmt.Errorf("--rootfs: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--rootfs: %s: %w", r.Rootfs, unix.ENOTDIR)
	}
	return nil
}

// claim takes the id, and makes the container's directories once they are on
// record.
func (r *run) claim(ctx context.Context) error {
	dir := filepath.Join(r.DataDir, "containers", r.id)
	r.layers = rootfs.Layers(dir, r.Rootfs)
	var err error
	r.entry, err = state.New(r.StateDir, "/proc", r.Log).Claim(ctx, state.Record{
		ID: r.id, Status: specs.StateCreating, Dirs: []string{dir}, Rootfs: r.Rootfs, Command: r.Options.Args,
	})
	if err != nil {
		return fmt.Errorf("container %s: %w", r.id, err)
	}
	// Whoever is the last container's `run` just now removes the parents.
	for range prepareTries {
		if err = r.layers.Prepare(); !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return r.undo(ctx, err)
	}
	return nil
}

// create makes the container up to the point where its command starts.
func (r *run) create(ctx context.Context) (*container.Container, error) {
	spec, err := r.Options.Spec(r.host, r.Rootfs, r.layers.Target)
	if err != nil {
		return nil, r.undo(ctx, err)
	}
	spec.Mounts = append(spec.Mounts, r.Mounts...)
	config := container.Config{
		ID: r.id, Spec: spec, Overlay: &r.layers,
		CgroupPath: filepath.Join(cgroup.Parent, r.id), Layout: r.layout,
		StateDir: r.StateDir, Proc: "/proc", Entry: r.entry,
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr,
		Init: r.Options.Init, Log: r.Log,
	}
	if r.StartViews != nil {
		views, err := r.StartViews(r.id)
		if err != nil {
			return nil, r.undo(ctx, err)
		}
		r.views, config.Views = views, views
	}
	if err := ownMountNamespace(); err != nil {
		return nil, r.undo(ctx, err)
	}
	return container.Create(ctx, config)
}

// attend starts the command and stays with it until it has ended.
func (r *run) attend(ctr *container.Container) (int, error) {
	var terminal *console.Session
	if master := ctr.Console(); master != nil {
		var err error
		if terminal, err = console.Attach(master, r.Stdin, r.Stdout); err != nil {
			return container.ExitStatus(err), err
		}
	}
	stop := ctr.ForwardSignals(unix.SIGPIPE, unix.SIGWINCH, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT)
	err := ctr.Start()
	status := container.ExitStatus(err)
	if err == nil {
		status, err = ctr.Wait(context.Background())
	}
	stop()
	if terminal != nil {
		err = errors.Join(err, terminal.Close())
	}
	return status, err
}

// remove leaves nothing of a container whose command has ended.
func (r *run) remove(ctr *container.Container) error {
	return errors.Join(ctr.Delete(context.Background()), r.close())
}

// undo is remove for a container that hasn't been created.
func (r *run) undo(ctx context.Context, err error) error {
	return errors.Join(err, r.entry.Remove(context.WithoutCancel(ctx), container.Cgroups(r.layout)))
}

// close ends what serves the views, and removes the directories of all
// containers when this was the last.
func (r *run) close() error {
	var err error
	if r.views != nil {
		err = r.views.Close()
	}
	return errors.Join(err, removeEmpty(filepath.Join(r.DataDir, "containers")), removeEmpty(r.DataDir))
}

// removeEmpty removes a directory unless somebody else's container is in it, or
// its last one's `run` was faster.
func removeEmpty(dir string) error {
	err := unix.Rmdir(dir)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.EBUSY): // somebody's mount point
		return nil
	}
	return fmt.Errorf("remove %s: %w", dir, err)
}

// ownMountNamespace gives the calling thread, which stays with its goroutine
// for good, a mount namespace in which it can mount what the host shall not see.
func ownMountNamespace() error {
	goruntime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	// Slave, not private: what the host unmounts later must not be kept busy.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make a mount namespace: /: %w", err)
	}
	return nil
}

// newID gives 256 random bits, written as docker writes its ids.
func newID() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}
