// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/nullfs"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
)

// newBenchReaderCommand is the process that `bench` runs in its container.
func newBenchReaderCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchReaderCommand,
		Short:   "Carry out plans from standard input; `bench` starts it",
		Example: "  procfs-shim bench",
		Hidden:  true,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return apart.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// newBenchNullCommand is the server of the tree null of `bench`.
func newBenchNullCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchNullCommand + " DIR",
		Short:   "Serve constant files at DIR; `bench` starts it",
		Example: "  procfs-shim bench",
		Hidden:  true,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireRoot(benchNullCommand); err != nil {
				return err
			}
			return nullfs.Run(args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// startNull starts it below stateDir, as a process of its own, as the server
// that it is compared with has one.
func startNull(self, stateDir string) (p *nullfs.Process, dir string, err error) {
	dir = filepath.Join(stateDir, readbench.NullTree)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, benchNullCommand, dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // a terminal's signals are for us
	p, err = nullfs.Start(cmd)
	return p, dir, err
}
