// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// deleteTime is how long the removal of one container may take. SIGKILL takes
// milliseconds; longer is a process in an uninterruptible sleep.
const deleteTime = 20 * time.Second

// Delete kills what is left of the container and removes its cgroup, its
// directories and its state. What can't be removed is in the error, and left
// for Delete to be called again or for a later Sweep. A ctx that is over
// doesn't end it, since it is called when things are over.
func (c *Container) Delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
	defer cancel()
	if c.init != nil {
		if err := c.init.Signal(unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("delete container %s: kill: %w", c.config.ID, err)
		}
		if _, err := c.Wait(ctx); err != nil {
			return err
		}
	}
	if c.entry != nil {
		if err := c.entry.Remove(ctx, cgroups{c.config.Layout, c.cgroup}); err != nil {
			return fmt.Errorf("delete container %s: %w", c.config.ID, err)
		}
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.init != nil {
		_ = c.init.Close()
	}
	return nil
}

// undo is Delete for a container that Create could not finish.
func (c *Container) undo() error {
	if c.console != nil {
		_ = c.console.Close()
	}
	err := c.Delete(context.Background())
	if err != nil && c.entry != nil {
		_ = c.entry.Release() // the next start tries again
	}
	return err
}

// cgroups removes cgroups for package state: the container's own, or one that
// is known by its path only.
type cgroups struct {
	layout *cgroupread.Layout
	own    *cgroup.Cgroup
}

func (g cgroups) Remove(ctx context.Context, path string) error {
	cg := g.own
	if cg == nil {
		if g.layout == nil {
			return fmt.Errorf("cgroup %s: no layout to find it in", path)
		}
		var err error
		if cg, err = cgroup.Open(g.layout, path); errors.Is(err, os.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if err := cg.Kill(ctx); err != nil {
		return err
	}
	return cg.Delete(ctx)
}

// Cgroups removes cgroups by their path, for state.Store.Sweep.
func Cgroups(layout *cgroupread.Layout) state.Cgroups { return cgroups{layout: layout} }

// Sweep removes what dead owners left in stateDir. Every start of the program
// calls it; see state.Store.Sweep.
func Sweep(ctx context.Context, stateDir, proc string, layout *cgroupread.Layout, log *slog.Logger) error {
	return state.New(stateDir, proc, log).Sweep(ctx, Cgroups(layout))
}

// The exit statuses of `run` that aren't the command's own, as docker has them.
const (
	exitFailed        = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// ExitStatus is what to exit with after an error of Create or Start: 127 when
// the command was not found, 126 when it can't be executed, else 125.
func ExitStatus(err error) int {
	var f *initproc.FailureError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &f) || !f.Exec:
		return exitFailed
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return exitNotFound
	default:
		return exitNotExecutable
	}
}
