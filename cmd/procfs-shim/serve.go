// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/container"
)

const (
	defaultMountpoint = "/var/lib/procfs-shim"
	defaultStateDir   = "/run/procfs-shim"
)

func newServeCommand() *cobra.Command {
	var s settings
	var level, format string
	var choices policy.Choices
	cmd := &cobra.Command{
		Use:   "serve [MOUNTPOINT]",
		Short: "Serve the views of this host's containers",
		Long: `serve mounts the shared tree, in LXCFS's layout, at MOUNTPOINT (default
` + defaultMountpoint + `) and the containers' own trees under the state directory,
and answers 'mount', 'unmount', 'status' and 'run'. It stays in the foreground,
tells systemd when it is ready, and unmounts when it gets SIGTERM or SIGINT.

How containers are shown is said by the configuration file, by the flags here,
which win over the file, and by those of 'run' and 'mount' for one container,
which win over both (docs/POLICIES.md). SIGHUP reads the file again: the policy of
containers that are registered changes too, other settings need a restart.`,
		Example: `  procfs-shim serve
  procfs-shim serve --cpu-view cpuset --on-error host
  procfs-shim serve --log-level debug --log-format json /var/lib/procfs-shim`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := config.Logger(io.Discard, level, format); err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("serve"); err != nil {
				return err
			}
			file, err := s.load()
			if err != nil {
				return err
			}
			log, err := config.Logger(os.Stderr, cmp.Or(level, file.LogLevel), cmp.Or(format, file.LogFormat))
			if err != nil {
				return err
			}
			sweep(cmd.Context(), s.stateDir, log)
			return daemon.Run(cmd.Context(), daemon.Config{
				Mountpoint: cmp.Or(strings.Join(args, ""), file.Mountpoint, defaultMountpoint),
				StateDir:   s.stateDir,
				Proc:       "/proc",
				Sys:        "/sys",
				Rules:      file.Rules(choices),
				Reload: func() (policy.Rules, error) {
					file, err := config.Load(s.configPath)
					return file.Rules(choices), err
				},
				Version: version(), ConfigPath: cmp.Or(s.configPath, config.DefaultPath),
				Log: log,
			})
		},
	}
	s.add(cmd)
	cmd.Flags().StringVar(&level, "log-level", "", "least level that is logged: debug, info, warn or error (default info)")
	cmd.Flags().StringVar(&format, "log-format", "", "form of the log on stderr: text or json (default text)")
	addPolicyFlags(cmd.Flags(), &choices, true)
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

// requireRoot refuses early and in one place what needs CAP_SYS_ADMIN anyway.
func requireRoot(what string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s: needs root: mounts and namespaces are made; try 'sudo procfs-shim %s …'", what, what)
	}
	return nil
}
