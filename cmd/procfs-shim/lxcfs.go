// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/lxcfs"
)

// lxcfsCommand is the command, and the name by which the program is called in
// LXCFS's place.
const lxcfsCommand = "lxcfs"

func newLXCFSCommand() *cobra.Command {
	s := lxcfs.Server{Log: os.Stderr, Version: version(), Prepare: sweep}
	var ignored bool
	cmd := &cobra.Command{
		Use:   lxcfsCommand + " MOUNTPOINT",
		Short: "Serve in LXCFS's place, with its command line",
		Long: `lxcfs is 'serve' for those who have LXCFS in their units, hooks and scripts: it
takes LXCFS's flags, shows what LXCFS does without them (all CPUs of the cpuset,
numbered from 0; the host's load averages and counters; the host's file where
the container's can't be had), and is called lxcfs in mount tables. The program
does the same when it is called lxcfs, say by a link. /etc/procfs-shim/config.toml
holds here too; a flag wins over it.

SIGUSR1 (and SIGHUP) reads the configuration again. SIGUSR2 shows every reader of
MOUNTPOINT the host, and sent again its own container. It stays in the foreground,
as LXCFS does, with --foreground and without.`,
		Example: `  procfs-shim lxcfs /var/lib/lxcfs
  procfs-shim lxcfs --enable-loadavg --enable-cfs /var/lib/lxcfs`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		Version: s.Version,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireRoot(lxcfsCommand); err != nil {
				return err
			}
			s.Mountpoint = args[0]
			return lxcfs.Run(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&s.EnableLoadavg, "enable-loadavg", "l", false, "show the container's load averages, not the host's")
	f.BoolVar(&s.EnableCFS, "enable-cfs", false, "show as many CPUs as the CPU quota allows")
	f.BoolVarP(&s.DisableSwap, "disable-swap", "u", false, "show no swap")
	f.BoolVar(&s.DisableZswap, "disable-zswap", false, "has no effect")
	f.BoolVar(&s.EnablePSIPoll, "enable-psi-poll", false, "has no effect")
	f.BoolVarP(&s.Debug, "debug", "d", false, "log all that is done")
	f.StringVarP(&s.Pidfile, "pidfile", "p", "", "`FILE` for the process id (default RUNTIME-DIR/lxcfs.pid)")
	f.StringVar(&s.RuntimeDir, "runtime-dir", filepath.Dir(defaultStateDir), "`DIR` for the pidfile and the state directory, procfs-shim")
	f.StringArrayVarP(&s.FUSE, "fuse-options", "o", nil, "mount `OPTIONS`; those that matter are fixed")
	f.BoolVarP(&ignored, "foreground", "f", false, "is always so")
	f.BoolVar(&ignored, "enable-pidfd", false, "is always so")
	f.BoolVarP(&ignored, "single-threaded", "s", false, "has no effect")
	cmd.SetVersionTemplate("procfs-shim {{.Version}}\n")
	return cmd
}
