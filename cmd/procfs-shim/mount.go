// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

func newMountCommand() *cobra.Command {
	var t targetFlags
	var wish cover.Wish
	var choices policy.Choices
	cmd := &cobra.Command{
		Use:   "mount TARGET… | --all",
		Short: "Give running containers their views",
		Long: `mount puts the views over the /proc and /sys files of running containers,
without restarting them and without needing anything inside them. A server
('procfs-shim serve') must be running. Doing it twice changes nothing.

` + targetHelp + `

--cpu-view and the flags like it choose how this container is shown, over what
the server's flags and configuration file say; on one that has its views already
it changes them at once. What was chosen holds until 'unmount'. --files says which
files the container has from now on; --file puts single ones there besides.

--replace-lxcfs takes LXCFS's place: its mounts go where the views come, alive
or dead, also those over a whole directory, and the container's own copy of its
tree (` + attach.LXCFSTree + `, for containers inside) becomes one of the shared tree.
With --all it is the containers with files of LXCFS that are meant.`,
		Example: `  procfs-shim mount web            # a docker or podman name
  procfs-shim mount 3f2a           # the beginning of an id
  procfs-shim mount --cpu-view cpuset --files default,-cpuinfo web
  procfs-shim mount --all --dry-run
  procfs-shim mount --all --exclude web --file meminfo --file cpu/online
  procfs-shim mount --all --replace-lxcfs`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := t.check(args)
			if _, both := choices[policy.FilesOption]; both && len(t.files) > 0 {
				err = errors.New("--file and --files: single files, or which files the container has; not both")
			}
			if err != nil {
				return usageError(cmd, err)
			}
			if wish.Files, err = policy.SelectNames(t.files); err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("mount"); err != nil {
				return err
			}
			if err := t.find(); err != nil {
				return err
			}
			client, err := daemon.Dial(t.stateDir)
			if err != nil {
				return err
			}
			defer client.Close()
			_, wish.Exact = choices[policy.FilesOption]
			wish.OnlyLXCFS = wish.ReplaceLXCFS && t.all
			v := cover.Coverer{Server: registrar{client, choices}, Served: policy.AllFiles(), Out: cmd.OutOrStdout(), Warn: cmd.ErrOrStderr()}
			return t.each(args, func(f *discover.Finder, c discover.Container) error {
				v.Finder = f
				return v.Cover(cmd.Context(), c, wish)
			})
		},
	}
	t.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&wish.DryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&wish.ReplaceLXCFS, "replace-lxcfs", false, "take away LXCFS's files where the views come")
	addPolicyFlags(f, &choices, false)
	return cmd
}
