// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/bundle"
	"github.com/procfs-shim/procfs-shim/runtime/foreground"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
)

// defaultDataDir is not below defaultMountpoint: there `serve` mounts its
// shared tree.
const defaultDataDir = "/var/lib/procfs-shim-data"

func newRunCommand() *cobra.Command {
	var o bundle.Options
	var s settings
	var choices policy.Choices
	var rootfs, dataDir string
	var interactive, remove bool
	cmd := &cobra.Command{
		Use:   "run [flags] --rootfs DIR [--] COMMAND [ARG…]",
		Short: "Run a command in a new container that sees its own limits",
		Long: `run starts a container: namespaces, cgroup limits, a root file system that is
DIR with a writable layer of its own, and /proc and /sys files that say what the
container has. It needs no daemon; with 'procfs-shim serve' running it uses that.
The container and everything it wrote are removed when COMMAND ends.

--cpu-view and the flags like it choose how the container is shown, over what the
configuration file and the daemon's flags say (docs/POLICIES.md).

Flags mean what they mean to docker. The exit status is that of COMMAND; 125 if
procfs-shim failed, 126 if COMMAND can't be executed, 127 if it wasn't found,
128+N if signal N killed it.`,
		Example: `  procfs-shim run --memory 256m --cpus 1 --rootfs / -- free -m
  procfs-shim run -it --rootfs / -v /etc:/mnt:ro -- sh
  procfs-shim run --cpus 1 --cpu-view cpuset --swap none --rootfs / -- free
  procfs-shim run --read-only --tmpfs /tmp --user nobody --rootfs / -- id`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usageError(cmd, errors.New("no COMMAND"))
			case rootfs == "":
				return usageError(cmd, errors.New("no --rootfs: name the directory that the container starts from"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireRoot("run"); err != nil {
				return exitStatus{exitRunFailure, err}
			}
			file, err := s.load()
			if err != nil {
				return exitStatus{exitRunFailure, err}
			}
			o.Args = args
			if o.Time == "host" { // then its uptime is the host's too, unless it is told otherwise
				choices = choices.Over(policy.Choices{"uptime": "host"})
			}
			config := foreground.Config{
				Options: o, Rootfs: rootfs, StateDir: s.stateDir, DataDir: dataDir,
				StartViews: func(id string) (foreground.Views, error) {
					return newViewer(id, s.stateDir, file.Rules(nil), choices)
				},
				Stdout: os.Stdout, Stderr: os.Stderr,
				Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
			}
			if interactive {
				config.Stdin = os.Stdin
			}
			status, err := foreground.Run(cmd.Context(), config)
			switch {
			case err != nil: // one line, also for what could not be undone besides
				return exitStatus{status, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))}
			case status != exitOK:
				return exitStatus{code: status}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVar(&rootfs, "rootfs", "", "directory that the root file system starts from; never written to")
	f.StringVar(&o.Name, "name", "", "name of the container")
	f.BoolVarP(&interactive, "interactive", "i", false, "hand standard input on to the command")
	f.BoolVarP(&o.TTY, "tty", "t", false, "give the command a terminal")
	f.BoolVar(&remove, "rm", false, "remove the container when it ends; run always does")
	f.BoolVar(&o.Init, "init", false, "run an init as PID 1 that forwards signals and reaps processes")
	addProcessFlags(f, &o)
	addLimitFlags(f, &o)
	addPolicyFlags(f, &choices, false)
	s.add(cmd)
	f.StringVar(&dataDir, "data-dir", defaultDataDir, "directory of the containers' writable layers, made when missing and removed when empty")
	return cmd
}

// addProcessFlags adds the flags that say who runs where and sees what.
func addProcessFlags(f *pflag.FlagSet, o *bundle.Options) {
	f.StringArrayVarP(&o.Env, "env", "e", nil, "environment variable `NAME=VALUE`, or NAME to hand on ours")
	f.StringVarP(&o.User, "user", "u", "", "user and group, `NAME|UID[:GROUP|GID]`")
	f.StringVarP(&o.Workdir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.Hostname, "hostname", "h", "", "host name")
	f.BoolVar(&o.ReadOnly, "read-only", false, "make the root file system read-only")
	f.StringArrayVar(&o.Tmpfs, "tmpfs", nil, "mount a tmpfs at `DST[:OPTIONS]`")
	f.StringArrayVarP(&o.Volumes, "volume", "v", nil, "bind mount `SRC:DST[:ro]`; SRC must be there")
	f.StringVar(&o.Network, "network", "none", "none: only a loopback of its own; host: the host's")
	f.StringVar(&o.Time, "time", "", "private: clocks that start with the container (default); host: the host's")
	f.StringArrayVar(&o.CapAdd, "cap-add", nil, "add a capability, or ALL")
	f.StringArrayVar(&o.CapDrop, "cap-drop", nil, "drop a capability, or ALL")
	f.StringArrayVar(&o.SecurityOpt, "security-opt", nil, "security option: no-new-privileges")
	f.Bool("help", false, "help for run") // -h is the host name, as in docker
}

// addLimitFlags adds the flags that become limits of the cgroup.
func addLimitFlags(f *pflag.FlagSet, o *bundle.Options) {
	f.StringVarP(&o.Memory, "memory", "m", "", "memory limit, at least 6m; 0 for none")
	f.StringVar(&o.MemorySwap, "memory-swap", "", "limit of memory and swap together; -1 for no limit of swap")
	f.StringVar(&o.MemoryReservation, "memory-reservation", "", "memory that is protected from reclaim")
	f.StringVar(&o.CPUs, "cpus", "", "number of CPUs, such as 1.5; 0 for no limit")
	f.Int64Var(&o.CPUPeriod, "cpu-period", 0, "period of the CPU quota in µs, 1000 to 1000000")
	f.Int64Var(&o.CPUQuota, "cpu-quota", 0, "CPU time in each period in µs, at least 1000")
	f.Int64VarP(&o.CPUShares, "cpu-shares", "c", 0, "weight of CPU time, 2 to 262144")
	f.StringVar(&o.CPUsetCPUs, "cpuset-cpus", "", "CPUs to run on, such as 0-3,8")
	f.StringVar(&o.CPUsetMems, "cpuset-mems", "", "NUMA nodes to take memory from, such as 0-1")
	f.Int64Var(&o.PidsLimit, "pids-limit", 0, "number of processes; 0 or -1 for no limit")
	f.Int64Var(&o.BlkioWeight, "blkio-weight", 0, "weight of block I/O, 10 to 1000; 0 for the default")
	f.StringArrayVar(&o.DeviceReadBps, "device-read-bps", nil, "bytes read per second, `DEVICE:RATE`")
	f.StringArrayVar(&o.DeviceWriteBps, "device-write-bps", nil, "bytes written per second, `DEVICE:RATE`")
	f.StringArrayVar(&o.DeviceReadIOps, "device-read-iops", nil, "reads per second, `DEVICE:RATE`")
	f.StringArrayVar(&o.DeviceWriteIOps, "device-write-iops", nil, "writes per second, `DEVICE:RATE`")
}

// runInit is the hidden command init: the container's first process.
func runInit() int { return initproc.Main() }
