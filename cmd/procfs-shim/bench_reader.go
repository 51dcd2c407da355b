// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// benchPlan is what `bench` tells the reader in its container, as one JSON
// object on its standard input.
type benchPlan struct {
	Rows     []benchRow       `json:"rows"`
	Modes    []readbench.Mode `json:"modes"`
	Readers  int              `json:"readers"`
	Duration time.Duration    `json:"duration_ns"`
}

// benchRow is one file of one tree and what it must say.
type benchRow struct {
	File string `json:"file"`
	Tree string `json:"tree"`
	Path string `json:"path"`
	// Key and Value: the one line that begins with Key has Value. Prefix and
	// Lines: so many lines begin with Prefix. Text: all of the file.
	Key    string `json:"key,omitempty"`
	Value  string `json:"value,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	Lines  int    `json:"lines,omitempty"`
	Text   string `json:"text,omitempty"`
}

// benchMessage is one line of what the reader answers on its standard output:
// progress, or at the end the report.
type benchMessage struct {
	Progress *readbench.Progress `json:"progress,omitempty"`
	Report   *readbench.Report   `json:"report,omitempty"`
}

func (r *benchRow) check() func([]byte) error {
	switch {
	case r.Key != "":
		return readbench.LineValue(r.Key, r.Value)
	case r.Prefix != "":
		return readbench.LineCount(r.Prefix, r.Lines)
	case r.Text != "":
		return readbench.Exactly(r.Text)
	}
	return nil
}

// newBenchReaderCommand is the process that `bench` runs in its container.
func newBenchReaderCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchReaderCommand,
		Short:   "Carry out the plan on standard input; `bench` starts it",
		Example: "  procfs-shim bench",
		Hidden:  true,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var plan benchPlan
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&plan); err != nil {
				return fmt.Errorf("%s: read the plan: %w", benchReaderCommand, err)
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			measured := readbench.Plan{
				Modes: plan.Modes, Readers: plan.Readers, Duration: plan.Duration,
				Progress: func(p readbench.Progress) {
					// A lost progress line is no reason to stop measuring; the
					// report's own write tells when nobody listens.
					_ = out.Encode(benchMessage{Progress: &p})
				},
			}
			for _, r := range plan.Rows {
				measured.Rows = append(measured.Rows, readbench.Row{File: r.File, Tree: r.Tree, Path: r.Path, Check: r.check()})
			}
			results, err := readbench.Measure(cmd.Context(), measured)
			if err != nil {
				return err
			}
			host, err := readbench.ReadHost(benchKernelTree+"/proc", time.Now())
			if err != nil {
				return err
			}
			report := readbench.NewReport(results, host)
			return out.Encode(benchMessage{Report: &report})
		},
	}
}

// followReader passes on the reader's progress until its report comes; what is
// no message is no report.
func followReader(from io.Reader, progress *os.File) (*readbench.Report, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	var report *readbench.Report
	for lines.Scan() {
		var m benchMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("the reader said %q: %w", lines.Text(), err)
		}
		if m.Report != nil {
			report = m.Report
		}
		if m.Progress != nil && progress != nil {
			p := m.Progress
			fmt.Fprintf(progress, "\r%-4s %4.0f %%  %v of %v ", p.Mode, 100*p.Done.Seconds()/p.Total.Seconds(),
				p.Done.Truncate(time.Second), p.Total)
		}
	}
	if progress != nil {
		fmt.Fprint(progress, "\r\033[K")
	}
	return report, lines.Err()
}
