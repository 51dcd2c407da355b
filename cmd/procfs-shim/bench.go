// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/output"
)

// benchFlags is what `bench` was asked for.
type benchFlags struct {
	files   []string
	against []string
	modes   string
	readers string
	// containers are how many are registered.
	containers string
	duration   time.Duration
	format     string
	failSlower float64 // in percent
	output     output.Output
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a read of a file costs, beside the kernel's own",
		Long: `bench measures open, read to the end and close of the files inside a container
of 256 MiB that it makes for the purpose: of the kernel's own files (tree
kernel), of the container's views (procfs-shim), of the shared tree
(procfs-shim-shared), of constant files of the same length that a FUSE server with
nothing behind it serves (null), and of any other tree named by --against. An LXCFS
that is mounted at ` + lxcfsMountpoint + ` is added by itself. All take turns in one run,
and what they say is checked while it is measured. No server is needed.

With --readers 1,2,4 or --containers 1,100,1000 it measures once for each. What the
server used meanwhile, and while nobody read, is part of the result.

Machines differ and are busy, ratios stay: --baseline compares with a saved run by
each row's ratio to the null server's, or to the kernel's where there is none.
docs/BENCHMARKS.md explains the numbers.`,
		Example: `  procfs-shim bench
  procfs-shim bench --file all --plot bench.svg
  procfs-shim bench --file meminfo --mode hot --duration 5s --output json
  procfs-shim bench --containers 1,100,1000 --readers 1,2,4 --plot scale.svg
  procfs-shim bench --baseline before.json --fail-slower 25
  procfs-shim bench --against lxcfs=/var/lib/lxcfs`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := f.check()
			if err != nil {
				return usageError(cmd, err)
			}
			if err := requireRoot("bench"); err != nil {
				return err
			}
			if isTerminal(os.Stderr) {
				b.progress = output.Progress(os.Stderr)
			}
			report, err := b.run(cmd.Context())
			if err != nil {
				return err
			}
			if err := f.output.Write(cmd.OutOrStdout(), report); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&f.files, "file", nil, "this file instead of "+strings.Join(benchFiles(), ", ")+": its path below /proc, or below /sys/devices/system; all for all (can be repeated)")
	cmd.Flags().StringArrayVar(&f.against, "against", nil, "another tree, as `NAME=DIR`, where DIR/proc/meminfo is (can be repeated)")
	cmd.Flags().StringVar(&f.modes, "mode", "hot,cold", "hot: read after read; cold: one read each 20 ms")
	cmd.Flags().StringVar(&f.readers, "readers", "1", "threads that read at the same time; a `LIST`, such as 1,2,4, for a measurement of each")
	cmd.Flags().StringVar(&f.containers, "containers", "1", "containers that the server knows, of which one is read; a `LIST` as for --readers")
	cmd.Flags().DurationVar(&f.duration, "duration", 10*time.Second, "wall time of one measurement in one mode; all its rows share it")
	cmd.Flags().StringVar(&f.format, "output", "text", "text or json")
	cmd.Flags().StringVar(&f.output.Plot, "plot", "", "draw the results into this SVG `file`")
	cmd.Flags().StringVar(&f.output.Baseline, "baseline", "", "compare with what --output json wrote to this `file` earlier")
	cmd.Flags().Float64Var(&f.failSlower, "fail-slower", 0, "exit with status 1 if a row's ratio is more than `PERCENT` above the baseline's (default: never)")
	return cmd
}

// check turns the flags into what the measurement needs.
func (f *benchFlags) check() (*benchmark, error) {
	b := &benchmark{duration: f.duration, trees: make(map[string]string)}
	var err error
	if len(f.files) == 0 {
		f.files = benchFiles()
	}
	if b.files, err = policy.SelectNames(f.files); err != nil {
		return nil, err
	}
	// What this host's kernel doesn't have, nobody serves.
	b.files = slices.DeleteFunc(b.files, func(file string) bool { return !exists("/" + file) })
	if len(b.files) == 0 {
		return nil, fmt.Errorf("--file: this host has none of %s", strings.Join(f.files, ", "))
	}
	if b.readers, err = readbench.ParseCounts(f.readers, readbench.MaxReaders); err != nil {
		return nil, fmt.Errorf("--readers: %w", err)
	}
	if b.containers, err = readbench.ParseCounts(f.containers, maxBenchContainers); err != nil {
		return nil, fmt.Errorf("--containers: %w", err)
	}
	if b.modes, err = readbench.ParseModes(f.modes); err != nil {
		return nil, fmt.Errorf("--mode: %w", err)
	}
	switch {
	case f.duration < 100*time.Millisecond || f.duration > time.Hour:
		return nil, fmt.Errorf("--duration: %v is not from 100ms to 1h", f.duration)
	case f.format != "text" && f.format != "json":
		return nil, fmt.Errorf("--output: %q is neither text nor json", f.format)
	case f.failSlower < 0:
		return nil, fmt.Errorf("--fail-slower: %v %% is below 0", f.failSlower)
	case f.failSlower > 0 && f.output.Baseline == "":
		return nil, errors.New("--fail-slower goes with --baseline")
	}
	f.output.JSON, f.output.FailSlower = f.format == "json", f.failSlower/100
	if f.output.Baseline != "" {
		if f.output.Before, err = output.ReadReport(f.output.Baseline); err != nil {
			return nil, fmt.Errorf("--baseline: %w", err)
		}
	}
	if isLXCFS("/proc/self/mountinfo", lxcfsMountpoint) {
		b.add("lxcfs", lxcfsMountpoint)
	}
	for _, a := range f.against {
		name, dir, ok := strings.Cut(a, "=")
		if !ok || name == "" || dir == "" {
			return nil, fmt.Errorf("--against: %q is not NAME=DIR", a)
		}
		if reservedTree(name) {
			return nil, fmt.Errorf("--against: the name %q is taken", name)
		}
		b.add(name, dir)
	}
	return b, nil
}

// benchFiles are measured unless others are named: two that rarely change, two
// that always do, and those that tools read most.
func benchFiles() []string { return []string{"cpuinfo", "meminfo", "stat", "cpu/online"} }

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
