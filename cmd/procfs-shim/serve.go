// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/runtime/container"
)

const (
	defaultMountpoint = "/var/lib/procfs-shim"
	defaultStateDir   = "/run/procfs-shim"
)

func newServeCommand() *cobra.Command {
	var stateDir, level, format string
	cmd := &cobra.Command{
		Use:   "serve [MOUNTPOINT]",
		Short: "Serve the views of this host's containers",
		Long: `serve mounts the shared tree, in LXCFS's layout, at MOUNTPOINT (default
` + defaultMountpoint + `) and the containers' own trees under the state directory,
and answers 'mount', 'unmount', 'status' and 'run'. It stays in the foreground,
tells systemd when it is ready, and unmounts when it gets SIGTERM or SIGINT.`,
		Example: `  procfs-shim serve
  procfs-shim serve --log-level debug --log-format json /var/lib/procfs-shim`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			mountpoint := defaultMountpoint
			if len(args) == 1 {
				mountpoint = args[0]
			}
			log, err := newLogger(level, format)
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("serve"); err != nil {
				return err
			}
			sweep(cmd.Context(), stateDir, log)
			return daemon.Run(cmd.Context(), daemon.Config{
				Mountpoint: mountpoint,
				StateDir:   stateDir,
				Proc:       "/proc",
				Sys:        "/sys",
				Log:        log,
			})
		},
	}
	addStateDirFlag(cmd, &stateDir)
	cmd.Flags().StringVar(&level, "log-level", "info", "least level that is logged: debug, info, warn or error")
	cmd.Flags().StringVar(&format, "log-format", "text", "form of the log on stderr: text or json")
	return cmd
}

// sweep removes what a killed `run` left; that it can't is no reason not to
// serve.
func sweep(ctx context.Context, stateDir string, log *slog.Logger) {
	layout, err := cgroupread.Detect("/proc")
	if err == nil {
		err = container.Sweep(ctx, stateDir, "/proc", layout, log)
	}
	if err != nil {
		log.Warn("leftovers could not be removed", "error", err)
	}
}

// addStateDirFlag adds --state-dir, which every command that talks to a
// server has.
func addStateDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "state-dir", defaultStateDir, "directory of sockets, state and the containers' trees")
}

func newLogger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
}

// requireRoot refuses early and in one place what needs CAP_SYS_ADMIN anyway.
func requireRoot(what string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s: needs root: mounts and namespaces are made; try 'sudo procfs-shim %s …'", what, what)
	}
	return nil
}
