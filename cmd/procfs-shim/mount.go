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
	var dryRun, replace bool
	cmd := &cobra.Command{
		Use:   "mount TARGET… | --all",
		Short: "Give running containers their views",
		Long: `mount puts the views over the /proc and /sys files of running containers,
without restarting them and without needing anything inside them. A server
('procfs-shim serve') must be running. Doing it twice changes nothing.

` + targetHelp + `

--replace-lxcfs takes LXCFS's place: its mounts go where the views come, alive
or dead, also those over a whole directory, and the container's own copy of its
tree (` + attach.LXCFSTree + `, for containers inside) becomes one of the shared tree.
With --all it is the containers with files of LXCFS that are meant.`,
		Example: `  procfs-shim mount web            # a docker or podman name
  procfs-shim mount 3f2a           # the beginning of an id
  procfs-shim mount --all --dry-run
  procfs-shim mount --all --exclude web --file meminfo --file cpu/online
  procfs-shim mount --all --replace-lxcfs`,
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
			m.replace, m.onlyLXCFS, m.widen = replace, replace && t.all, len(t.files) == 0
			return t.each(args, func(f *discover.Finder, c discover.Container) error {
				return m.mount(cmd.Context(), f, c)
			})
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().BoolVar(&replace, "replace-lxcfs", false, "take away LXCFS's files where the views come")
	return cmd
}

// mounter puts files over those of containers.
type mounter struct {
	client    *daemon.Client
	files     []string
	dryRun    bool
	replace   bool // LXCFS's files make room for ours
	onlyLXCFS bool // and containers without any are left alone
	widen     bool // and what it covers is covered, too
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
	var theirs []attach.Mounted
	if m.replace {
		if theirs, err = attach.LXCFS("/proc", c.InitPID); err != nil {
			return err
		}
		if m.widen {
			m.files = attach.WithCovered(m.files, allFiles(), theirs)
		}
		if m.onlyLXCFS && !attach.Touches(theirs, destinations(m.files)) {
			return nil
		}
	}
	if err := m.warnOfNesting(c, len(before) == 0); err != nil {
		return err
	}
	if m.dryRun {
		m.foretell(c, theirs)
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
	results, err := m.cover(ctx, process, reg, theirs)
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

func (m mounter) cover(ctx context.Context, process *attach.Process, reg daemon.Registered, theirs []attach.Mounted) ([]attach.Result, error) {
	trees, err := openTrees(reg.Dir, m.files)
	if err != nil {
		return nil, err
	}
	defer func() { closeTrees(trees) }()
	if !m.replace {
		return process.Attach(ctx, trees)
	}
	if attach.Touches(theirs, []string{attach.LXCFSTree}) {
		whole, err := attach.OpenWhole(reg.Shared)
		if err != nil {
			return nil, err
		}
		trees = append(trees, whole)
	}
	results, err := process.Replace(ctx, trees)
	if err != nil {
		return nil, err
	}
	for _, t := range theirs {
		if t.Fate(m.places()) == attach.Left {
			results = append(results, attach.Result{Destination: t.Destination, Action: attach.Left})
		}
	}
	return results, nil
}

// foretell says what mount would do.
func (m mounter) foretell(c discover.Container, theirs []attach.Mounted) {
	for _, t := range theirs {
		fmt.Fprintf(m.out, "%s\t%s\tLXCFS's would be %s\n", label(c), t.Destination, t.Fate(m.places()))
	}
	for _, d := range destinations(m.files) {
		fmt.Fprintf(m.out, "%s\t%s\twould be covered\n", label(c), d)
	}
}

// places are where mount puts something when LXCFS has something there.
func (m mounter) places() []string { return append(destinations(m.files), attach.LXCFSTree) }

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
