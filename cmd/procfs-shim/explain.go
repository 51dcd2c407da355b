// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/explainer"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/report"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

func newExplainCommand() *cobra.Command {
	var t targetFlags
	var snapshot uint64
	var output report.Format
	cmd := &cobra.Command{
		Use:   "explain TARGET FILE [FIELD]",
		Short: "Say where a container's numbers come from",
		Long: `explain shows the fields of a file as a container sees them, beside the host's,
and what each is made from. With FIELD it shows every value that was read for it,
at each level of the cgroup's ancestors, and which of them binds.

The text is made anew, as a reader would get it now. --snapshot explains one that
some reader's open file holds: its ID is what ioctl(fd, _IOR('p', 1, uint64))
answers. A container that no server has is explained by this program itself.

TARGET is a container as for mount. FILE is a path below /proc or
/sys/devices/system. What every field is made from is in docs/FORMATS.md.`,
		Example: `  procfs-shim explain web meminfo
  procfs-shim explain web meminfo MemFree
  procfs-shim explain web stat cpu0 steal
  procfs-shim explain 3f2a cpu/online --output json`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := policy.FilePath(args[1])
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("explain"); err != nil {
				return err
			}
			settings, err := t.load()
			if err != nil {
				return err
			}
			return t.each(args[:1], func(_ *discover.Finder, c discover.Container) error {
				target := explainer.Target{
					Label: cover.Label(c), Cgroup: c.Cgroup, InitPID: c.InitPID, File: file, Snapshot: snapshot,
					Subject: policy.Subject{Engine: c.Engine, ID: c.ID, Name: c.Name},
				}
				if c.Engine == discover.Shim {
					target.OwnDir = containerDir(t.stateDir, c.ID)
				}
				e, err := explainer.Explain(cmd.Context(), target, t.stateDir, settings.Rules(nil))
				if err != nil {
					return err
				}
				return e.Write(cmd.OutOrStdout(), strings.Join(args[2:], " "), policy.InWords(e.Policy), output.JSON())
			})
		},
	}
	t.settings.add(cmd)
	cmd.Flags().Uint64Var(&snapshot, "snapshot", 0, "explain the snapshot with this `ID`, which an open file holds")
	cmd.Flags().Var(&output, "output", "table or json")
	return cmd
}
