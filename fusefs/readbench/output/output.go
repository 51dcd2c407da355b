// SPDX-License-Identifier: Apache-2.0

// Package output turns a finished measurement into what was asked for: a table or
// JSON, a page of drawings, a comparison with an earlier run; and into an error
// if something in it is wrong.
package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/plot"
)

// Output is what was asked for.
type Output struct {
	JSON bool   // instead of tables
	Plot string // path of the page of drawings, "" for none
	// Before is an earlier run to compare with, nil for none; Baseline is what it
	// is called.
	Before   *readbench.Report
	Baseline string
	// FailSlower is by how much a row may be slower than before until that is an
	// error, as readbench.Change has it; 0: never.
	FailSlower float64
}

// Progress gives a function that tells how far a measurement is, in one line of a
// terminal that it overwrites again and again.
func Progress(terminal io.Writer) func(readbench.Progress) {
	return func(p readbench.Progress) {
		line := fmt.Sprintf("\r%-4s %4.0f %%  %v of %v ", p.Mode, 100*p.Done.Seconds()/p.Total.Seconds(), p.Done.Truncate(time.Second), p.Total)
		if p.Done >= p.Total {
			line = "\r\033[K"
		}
		_, _ = io.WriteString(terminal, line) // nothing depends on it
	}
}

// ReadReport reads a saved run.
func ReadReport(path string) (*readbench.Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	report, err := readbench.ReadReport(file)
	_ = file.Close() // it was only read
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &report, nil
}

// Write writes all of it, and then judges: the error names the first row with
// failed reads or wrong content, or the first that is too slow.
func (o Output) Write(out io.Writer, r readbench.Report) error {
	if o.Before != nil {
		var err error
		if r.Changes, err = readbench.Compare(*o.Before, r); err != nil {
			return fmt.Errorf("compare with %s: %w", o.Baseline, err)
		}
	}
	if o.Plot != "" {
		if err := draw(o.Plot, r); err != nil {
			return fmt.Errorf("--plot: %w", err)
		}
	}
	if err := o.print(out, r); err != nil {
		return fmt.Errorf("print the results: %w", err)
	}
	for _, row := range r.Results {
		if row.Errors > 0 {
			return fmt.Errorf("%s of tree %s: %d reads failed: %s", row.File, row.Tree, row.Errors, row.FirstError)
		}
	}
	for _, c := range r.Changes {
		if o.FailSlower > 0 && c.Slower > o.FailSlower {
			return fmt.Errorf("%s of tree %s, %s: %.0f %% slower than in %s, relative to %s", c.File, c.Tree, c.Mode, 100*c.Slower, o.Baseline, c.To)
		}
	}
	return nil
}

func (o Output) print(out io.Writer, r readbench.Report) error {
	if o.JSON {
		return readbench.WriteJSON(out, r)
	}
	var b bytes.Buffer
	err := readbench.WriteTable(&b, r.Results)
	if err == nil && len(r.Server) > 0 {
		b.WriteByte('\n')
		err = readbench.WriteUse(&b, r.Server)
	}
	if err == nil && len(r.Changes) > 0 {
		b.WriteByte('\n')
		err = readbench.WriteChanges(&b, r.Changes)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(b.Bytes())
	return err
}

func draw(path string, r readbench.Report) error {
	var page bytes.Buffer
	if err := plot.Write(&page, r); err != nil {
		return err
	}
	return os.WriteFile(path, page.Bytes(), 0o644)
}
