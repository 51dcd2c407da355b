// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
)

// newBenchReaderCommand is the process that `bench` runs in its container.
func newBenchReaderCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchReaderCommand,
		Short:   "Carry out the plan on standard input; `bench` starts it",
		Example: "  procfs-shim bench",
		Hidden:  true,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return apart.Measure(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
