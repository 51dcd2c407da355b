// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// benchFlags is what `bench` was asked for.
type benchFlags struct {
	files    []string
	against  []string
	modes    string
	readers  int
	duration time.Duration
	output   string
	plot     string
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a read of a file costs, beside the kernel's own",
		Long: `bench measures open, read to the end and close of the files inside a container
of 256 MiB that it makes for the purpose: of the kernel's own files (tree
kernel), of the container's views (procfs-shim), of the shared tree
(procfs-shim-shared), and of any other tree named by --against. An LXCFS that is
mounted at ` + lxcfsMountpoint + ` is added by itself. All take turns in one run, and
what they say is checked while it is measured. No server is needed.`,
		Example: `  procfs-shim bench
  procfs-shim bench --file meminfo --mode hot --duration 5s --output json
  procfs-shim bench --against lxcfs=/var/lib/lxcfs --plot bench.svg`,
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
				b.progress = writeProgress(os.Stderr)
			}
			report, err := b.run(cmd.Context())
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().StringArrayVar(&f.files, "file", nil, "only this file: its path below /proc, or below /sys/devices/system (can be repeated)")
	cmd.Flags().StringArrayVar(&f.against, "against", nil, "another tree, as `NAME=DIR`, where DIR/proc/meminfo is (can be repeated)")
	cmd.Flags().StringVar(&f.modes, "mode", "hot,cold", "hot: read after read; cold: one read each 20 ms")
	cmd.Flags().IntVar(&f.readers, "readers", 1, "threads that read at the same time")
	cmd.Flags().DurationVar(&f.duration, "duration", 10*time.Second, "wall time of one mode; all rows of the mode share it")
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
	cmd.Flags().StringVar(&f.plot, "plot", "", "draw the latencies into this SVG `file`")
	return cmd
}

// check turns the flags into what the measurement needs.
func (f *benchFlags) check() (*benchmark, error) {
	b := &benchmark{readers: f.readers, duration: f.duration, trees: make(map[string]string)}
	var err error
	if len(f.files) == 0 {
		f.files = []string{"default"}
	}
	if b.files, err = selectFiles(f.files); err != nil {
		return nil, err
	}
	if b.modes, err = readbench.ParseModes(f.modes); err != nil {
		return nil, fmt.Errorf("--mode: %w", err)
	}
	switch {
	case f.readers < 1 || f.readers > maxBenchReaders:
		return nil, fmt.Errorf("--readers: %d is not from 1 to %d", f.readers, maxBenchReaders)
	case f.duration < 100*time.Millisecond || f.duration > time.Hour:
		return nil, fmt.Errorf("--duration: %v is not from 100ms to 1h", f.duration)
	case f.output != "text" && f.output != "json":
		return nil, fmt.Errorf("--output: %q is neither text nor json", f.output)
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

// print writes the report as it was asked for.
func (f *benchFlags) print(out io.Writer, r readbench.Report) error {
	if f.plot != "" {
		if err := writePlot(f.plot, r); err != nil {
			return err
		}
	}
	var err error
	if f.output == "json" {
		err = readbench.WriteJSON(out, r)
	} else {
		err = readbench.WriteTable(out, r.Results)
	}
	if err != nil {
		return fmt.Errorf("print the results: %w", err)
	}
	for _, row := range r.Results {
		if row.Errors > 0 {
			return fmt.Errorf("bench: %s of tree %s: %d reads failed: %s", row.File, row.Tree, row.Errors, row.FirstError)
		}
	}
	return nil
}

func writePlot(path string, r readbench.Report) error {
	var drawn bytes.Buffer
	err := readbench.WriteSVG(&drawn, r)
	if err == nil {
		err = os.WriteFile(path, drawn.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
