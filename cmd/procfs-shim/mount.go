// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

func newMountCommand() *cobra.Command {
	var t targetFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "mount TARGET… | --all",
		Short: "Give running containers their views",
		Long: `mount puts the views over the /proc and /sys files of running containers,
without restarting them and without needing anything inside them. A server
('procfs-shim serve') must be running. Doing it twice changes nothing.

` + targetHelp,
		Example: `  procfs-shim mount web            # a docker or podman name
  procfs-shim mount 3f2a           # the beginning of an id
  procfs-shim mount --all --dry-run
  procfs-shim mount --all --exclude web --file meminfo --file cpu/online`,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := t.check(args)
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("mount"); err != nil {
				return err
			}
			client, err := daemon.Dial(t.stateDir)
			if err != nil {
				return err
			}
			defer client.Close()
			m := mounter{client: client, files: files, dryRun: dryRun, out: cmd.OutOrStdout(), warn: cmd.ErrOrStderr()}
			return t.each(args, func(f *discover.Finder, c discover.Container) error {
				return m.mount(cmd.Context(), f, c)
			})
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

// mounter puts files over those of containers.
type mounter struct {
	client    *daemon.Client
	files     []string
	dryRun    bool
	out, warn io.Writer
}

// mount registers one container with the server and covers its files. The
// process is held from the moment that it is known to be the container's init,
// so nobody else can get them.
func (m mounter) mount(ctx context.Context, f *discover.Finder, c discover.Container) error {
	process, err := attach.Open("/proc", c.InitPID)
	if err != nil {
		return err
	}
	defer process.Close()
	if err := f.Same(c); err != nil {
		return err
	}
	before, err := coveredFiles(c.InitPID)
	if err != nil {
		return err
	}
	if err := m.warnOfNesting(c, len(before) == 0); err != nil {
		return err
	}
	if m.dryRun {
		for _, d := range destinations(m.files) {
			fmt.Fprintf(m.out, "%s\t%s\twould be covered\n", label(c), d)
		}
		return nil
	}
	id, err := m.registered(ctx, c)
	if err != nil {
		return err
	}
	reg, err := m.client.Register(ctx, daemon.Registration{ID: id, Cgroup: c.Cgroup, InitPID: c.InitPID})
	if err != nil {
		return err
	}
	results, err := m.cover(ctx, process, reg.Dir)
	if err != nil {
		if len(before) == 0 {
			err = errors.Join(err, m.client.Unregister(ctx, id))
		}
		return err
	}
	for _, r := range results {
		fmt.Fprintf(m.out, "%s\t%s\t%s\n", label(c), r.Destination, r.Action)
	}
	return nil
}

// registered gives the id that the server knows a container by, as `run` called
// it, or the one that we call it. One that has moved to another cgroup since is
// forgotten: its files would go on showing the old one.
func (m mounter) registered(ctx context.Context, c discover.Container) (string, error) {
	list, err := m.client.List(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range list {
		if s.InitPID != c.InitPID {
			continue
		}
		if s.Cgroup.Equal(c.Cgroup) {
			return s.ID, nil
		}
		if err := m.client.Unregister(ctx, s.ID); err != nil {
			return "", err
		}
	}
	return c.Key(), nil
}

func (m mounter) cover(ctx context.Context, process *attach.Process, dir string) ([]attach.Result, error) {
	trees, err := openTrees(dir, m.files)
	if err != nil {
		return nil, err
	}
	defer closeTrees(trees)
	return process.Attach(ctx, trees)
}

// warnOfNesting says what the container loses: a procfs that is covered
// anywhere can't be mounted anew in a nested user namespace.
func (m mounter) warnOfNesting(c discover.Container, first bool) error {
	fresh, err := attach.ReadFreshProc("/proc", c.InitPID)
	if err != nil || !first || !fresh.Now || !coversProc(m.files) {
		return err
	}
	fmt.Fprintf(m.warn, "procfs-shim: warning: %s: as long as the views are there, rootless containers inside it can't mount a /proc of their own\n", label(c))
	return nil
}
