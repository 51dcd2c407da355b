// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
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
			err := t.check(args)
			if err != nil {
				return usageError(cmd, err)
			}
			files, err := policy.SelectNames(t.files)
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("unmount"); err != nil {
				return err
			}
			if err := t.find(); err != nil {
				return err
			}
			v := cover.Coverer{Served: policy.AllFiles(), Usual: usualFiles(), Out: cmd.OutOrStdout()}
			client, err := daemon.Dial(t.stateDir)
			if err == nil {
				defer client.Close()
				v.Server = registrar{client: client}
			} else if !errors.Is(err, daemon.ErrNotRunning) {
				return err
			}
			return t.each(args, func(f *discover.Finder, c discover.Container) error {
				v.Finder = f
				return v.Uncover(cmd.Context(), c, files)
			})
		},
	}
	t.add(cmd)
	return cmd
}
