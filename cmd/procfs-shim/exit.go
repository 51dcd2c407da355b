// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The exit status of the program. `run` ends with the status of the
// container's command; everything else of ours is below. docs/EXIT-CODES.md
// has the same table for users, and a test compares the two.
const (
	exitOK            = 0   // done
	exitFailure       = 1   // all but run: it failed
	exitUsage         = 2   // the command line is wrong; nothing was done
	exitRunFailure    = 125 // run: procfs-shim failed, or its command line is wrong
	exitNotExecutable = 126 // run: the container's command can't be executed
	exitNotFound      = 127 // run: the container's command was not found
	exitSignalBase    = 128 // run: 128 + N, the command was killed by signal N
)

// exitStatus is an error that says how the program ends; cause is printed
// unless it is nil, as it is when a container's command just ended.
type exitStatus struct {
	code  int
	cause error
}

func (e exitStatus) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.cause.Error()
}

func (e exitStatus) Unwrap() error { return e.cause }

// usageError is the answer to a command line that can't be meant: it names
// the help that shows how it is written.
func usageError(cmd *cobra.Command, err error) error {
	status := exitStatus{exitUsage, fmt.Errorf("%w (see '%s --help')", err, cmd.CommandPath())}
	if cmd.Name() == "run" {
		status.code = exitRunFailure
	}
	return status
}

// usageArgs makes a cobra check of positional arguments answer as every other
// wrong command line does.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError(cmd, err)
		}
		return nil
	}
}

// version is what the Go toolchain recorded of the build: the module's
// version, or the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v = s.Value
		}
	}
	return v
}
