// SPDX-License-Identifier: Apache-2.0

// Command procfs-shim makes containers see their own limits in /proc and
// /sys: it runs containers with accurate views, gives running containers
// theirs, serves the files, and measures what a read of them costs.
//
// There is one file for each command. A command takes its flags, calls the
// packages that do the work and prints what came of it; it is the only place
// where the serving half (fusefs/…) and the acting half (runtime/…) meet, as
// docs/ARCHITECTURE.md draws it.
//
// Two commands are not for people: `init`, the first process of a container,
// and `own-server`, the server of a single `run`. They are dispatched before
// the command tree is built, since every start of a container pays for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Names of the commands that the program gives to itself.
const (
	initCommand      = "init"
	ownServerCommand = "own-server"
)

func main() {
	asLXCFS := filepath.Base(os.Args[0]) == lxcfsCommand
	if len(os.Args) > 1 && !asLXCFS {
		switch os.Args[1] {
		case initCommand:
			os.Exit(runInit())
		case ownServerCommand:
			os.Exit(runOwnServer())
		}
	}
	args := os.Args[1:]
	if asLXCFS {
		args = append([]string{lxcfsCommand}, args...)
	}
	os.Exit(runCLI(args))
}

// runCLI executes a command line and gives the program's exit status.
func runCLI(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var status exitStatus
	if !errors.As(err, &status) {
		status = exitStatus{code: exitFailure, cause: err}
	}
	if status.cause != nil {
		// Several containers, or an error and what could not be undone after
		// it: a line each.
		for line := range strings.SplitSeq(status.cause.Error(), "\n") {
			fmt.Fprintf(os.Stderr, "procfs-shim: %s\n", line)
		}
	}
	return status.code
}

// newRootCommand builds the command tree; completions and man pages come from
// it too.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "procfs-shim",
		Short: "Containers that see their own limits in /proc and /sys",
		Long: `procfs-shim makes containers see their own limits: free, top, JVMs, thread
pools and monitoring agents inside a 256 MiB container read 256 MiB, not the
memory of the whole host.

  run     starts a container with accurate views; needs nothing else
  serve   serves the views of many containers, in LXCFS's layout too
  mount   gives running containers of docker, podman, containerd, CRI-O and
          LXC their views, without restarting them
  explain says where the numbers of a container come from
  bench   measures what a read costs, beside the kernel's own files`,
		Example: `  procfs-shim run --memory 256m --cpus 1 --rootfs / -- free -m
  procfs-shim serve &
  procfs-shim mount --all`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          cobra.ArbitraryArgs, // so that RunE is asked and not cobra
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			err := fmt.Errorf("no command is called %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				err = fmt.Errorf("%w; is it %s?", err, strings.Join(near, " or "))
			}
			return usageError(cmd, err)
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(usageError)
	root.AddCommand(
		newRunCommand(),
		newServeCommand(),
		newLXCFSCommand(),
		newMountCommand(),
		newUnmountCommand(),
		newStatusCommand(),
		newExplainCommand(),
		newConfigCommand(),
		newBenchCommand(),
		newBenchReaderCommand(),
		newBenchNullCommand(),
		newManCommand(),
	)
	return root
}
