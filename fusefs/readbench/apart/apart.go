// SPDX-License-Identifier: Apache-2.0

// Package apart has a measurement of package readbench made in another process,
// in a container for instance: it turns a Plan into one JSON object that goes to
// that process' standard input, and the lines of JSON that it answers on its
// standard output into progress and a readbench.Report.
//
//	caller                          process
//	Plan, as JSON      ──stdin──►   Measure
//	Follow             ◄──stdout──  {"progress":…} now and then, {"report":…} last
//
// It neither starts the process nor knows where it runs.
package apart

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// maxLine bounds one line of an answer, in bytes; a report of a thousand rows
// takes a third of it.
const maxLine = 1 << 20

// Plan is a readbench.Plan that can travel.
type Plan struct {
	Rows     []Row            `json:"rows"`
	Modes    []readbench.Mode `json:"modes"`
	Readers  int              `json:"readers"`
	Duration time.Duration    `json:"duration_ns"`
	// Proc is where the other process finds a procfs that says what machine it
	// is.
	Proc string `json:"proc"`
}

// Row is one file of one tree, and what it must say. With none of the last
// fields it must not be empty.
type Row struct {
	File string `json:"file"`
	Tree string `json:"tree"`
	Path string `json:"path"` // as the other process sees it
	// Key and Value: the one line that begins with Key has Value.
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	// Prefix and Lines: so many lines begin with Prefix.
	Prefix string `json:"prefix,omitempty"`
	Lines  int    `json:"lines,omitempty"`
	// Text is all of the file.
	Text string `json:"text,omitempty"`
}

func (r Row) check() func([]byte) error {
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

// message is one line of the answer.
type message struct {
	Progress *readbench.Progress `json:"progress,omitempty"`
	Report   *readbench.Report   `json:"report,omitempty"`
}

// Measure is the other process' part: it reads a Plan, carries it out and writes
// the answer.
func Measure(ctx context.Context, in io.Reader, out io.Writer) error {
	var plan Plan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	lines := json.NewEncoder(out)
	measured := readbench.Plan{
		Modes: plan.Modes, Readers: plan.Readers, Duration: plan.Duration,
		Progress: func(p readbench.Progress) {
			// A lost line of progress is no reason to stop measuring; whether
			// anybody listens is found out when the report is written.
			_ = lines.Encode(message{Progress: &p})
		},
	}
	for _, r := range plan.Rows {
		measured.Rows = append(measured.Rows, readbench.Row{File: r.File, Tree: r.Tree, Path: r.Path, Check: r.check()})
	}
	results, err := readbench.Measure(ctx, measured)
	if err != nil {
		return err
	}
	host, err := readbench.ReadHost(plan.Proc, time.Now())
	if err != nil {
		return err
	}
	report := readbench.NewReport(results, host)
	if err := lines.Encode(message{Report: &report}); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// ErrNoReport says that the process ended without one.
var ErrNoReport = errors.New("the reader gave no report")

// Follow reads the answer to its end and gives the report. progress, if not nil,
// is told how far the measurement is.
func Follow(answer io.Reader, progress func(readbench.Progress)) (readbench.Report, error) {
	lines := bufio.NewScanner(answer)
	lines.Buffer(nil, maxLine)
	report, err := readbench.Report{}, ErrNoReport
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return readbench.Report{}, fmt.Errorf("the reader said %.80q: %w", lines.Text(), err)
		}
		if m.Report != nil {
			report, err = *m.Report, nil
		}
		if m.Progress != nil && progress != nil {
			progress(*m.Progress)
		}
	}
	if lines.Err() != nil {
		return readbench.Report{}, fmt.Errorf("the reader's answer: %w", lines.Err())
	}
	return report, err
}
