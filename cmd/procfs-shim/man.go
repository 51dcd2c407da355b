// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand writes the man pages out of the command tree: packagers call
// it (`make man`), users don't, so it is hidden.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages into a directory",
		Example: `  procfs-shim man /usr/local/share/man/man1`,
		Hidden:  true,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.Root().DisableAutoGenTag = true
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{
				Title: "PROCFS-SHIM", Section: "1", Source: "procfs-shim", Manual: "procfs-shim manual",
			}, args[0])
		},
	}
}
