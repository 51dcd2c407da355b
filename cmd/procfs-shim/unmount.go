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

func newUnmountCommand() *cobra.Command {
	var t targetFlags
	cmd := &cobra.Command{
		Use:     "unmount TARGET… | --all",
		Aliases: []string{"umount"},
		Short:   "Give running containers the kernel's files back",
		Long: `unmount takes the views off running containers: what lay below them, the
kernel's file or the engine's mask, is seen again. It needs no server.

` + targetHelp,
		Example: `  procfs-shim unmount web
  procfs-shim umount --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := t.check(args)
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("unmount"); err != nil {
				return err
			}
			client, err := daemon.Dial(t.stateDir)
			if err == nil {
				defer client.Close()
			} else if !errors.Is(err, daemon.ErrNotRunning) {
				return err
			}
			if len(t.files) == 0 {
				files = allFiles() // mount --file may have put more there than mount does
			}
			return t.each(args, func(f *discover.Finder, c discover.Container) error {
				return unmount(cmd.Context(), cmd.OutOrStdout(), client, f, c, destinations(files))
			})
		},
	}
	t.add(cmd)
	return cmd
}

// unmount takes the files off one container and, when none of ours is left
// there, ends its registration; client is nil when no server runs.
func unmount(ctx context.Context, out io.Writer, client *daemon.Client, f *discover.Finder, c discover.Container, files []string) error {
	process, err := attach.Open("/proc", c.InitPID)
	if err != nil {
		return err
	}
	defer process.Close()
	if err := f.Same(c); err != nil {
		return err
	}
	results, err := process.Detach(ctx, files)
	if err != nil {
		return err
	}
	for _, r := range results {
		fmt.Fprintf(out, "%s\t%s\t%s\n", label(c), r.Destination, r.Action)
	}
	left, err := coveredFiles(c.InitPID)
	if err != nil || client == nil || len(left) > 0 {
		return err
	}
	return client.Unregister(ctx, c.Key())
}
