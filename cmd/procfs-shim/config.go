// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration file",
		Long: `config is about the file that 'serve' and 'run' read: ` + config.DefaultPath + `
unless --config names another one. deploy/config.toml is a sample with every key.`,
		Example: `  procfs-shim config check`,
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration file is right, and all that isn't",
		Long: `check reads FILE (default ` + config.DefaultPath + `) as 'serve' does and
prints one line for each thing that is wrong with it, on stderr, with its line
and what is allowed. The exit status is 0 if nothing is, else 1.`,
		Example: `  procfs-shim config check
  procfs-shim config check new.toml`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := config.DefaultPath
			if len(args) == 1 {
				path = args[0]
			}
			_, err := config.Read(path)
			switch {
			case len(args) == 0 && errors.Is(err, fs.ErrNotExist):
				fmt.Fprintf(cmd.OutOrStdout(), "%s: not there: the defaults hold\n", path)
				return nil
			case err == nil:
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", path)
			}
			return err
		},
	})
	return cmd
}
