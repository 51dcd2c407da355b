// SPDX-License-Identifier: Apache-2.0

// Package apart has a measurement of package readbench made in another process,
// in a container for instance: it turns a Plan into one JSON object that goes to
// that process' standard input, and the lines of JSON that it answers on its
// standard output into progress and a readbench.Report. After the report the
// process waits for the next plan, until its standard input ends.
//
//	caller                                  process
//	Remote.Measure   Plan  ──stdin──►       Serve
//	                       ◄──stdout──      {"progress":…} now and then
//	                       ◄──stdout──      {"report":…}
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

// maxLine bounds one line of an answer, in bytes. A row takes 2 KiB, most of it
// for its distribution.
const maxLine = 4 << 20

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
	// Empty: it may also say nothing.
	Empty bool `json:"empty,omitempty"`
}

func (r Row) check() func([]byte) error {
	switch {
	case r.Key != "":
		return readbench.LineValue(r.Key, r.Value)
	case r.Prefix != "":
		return readbench.LineCount(r.Prefix, r.Lines)
	case r.Text != "":
		return readbench.Exactly(r.Text)
	case r.Empty:
		return func([]byte) error { return nil }
	}
	return nil
}

// message is one line of the answer.
type message struct {
	Progress *readbench.Progress `json:"progress,omitempty"`
	Report   *readbench.Report   `json:"report,omitempty"`
}

// Serve is the other process' part: it reads plans, carries them out and writes
// the answers, until there are no more.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	plans, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var plan Plan
		err := plans.Decode(&plan)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the plan: %w", err)
		}
		report, err := carryOut(ctx, plan, func(p readbench.Progress) {
			// A lost line of progress is no reason to stop measuring; whether
			// anybody listens is found out when the report is written.
			_ = answers.Encode(message{Progress: &p})
		})
		if err != nil {
			return err
		}
		if err := answers.Encode(message{Report: &report}); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
}

func carryOut(ctx context.Context, plan Plan, progress func(readbench.Progress)) (readbench.Report, error) {
	measured := readbench.Plan{Modes: plan.Modes, Readers: plan.Readers, Duration: plan.Duration, Progress: progress}
	for _, r := range plan.Rows {
		measured.Rows = append(measured.Rows, readbench.Row{File: r.File, Tree: r.Tree, Path: r.Path, Check: r.check()})
	}
	results, err := readbench.Measure(ctx, measured)
	if err != nil {
		return readbench.Report{}, err
	}
	host, err := readbench.ReadHost(plan.Proc, time.Now())
	if err != nil {
		return readbench.Report{}, err
	}
	return readbench.NewReport(results, host), nil
}

// ErrNoReport says that the process ended without one.
var ErrNoReport = errors.New("the reader gave no report")

// Remote is the other process as its caller sees it.
type Remote struct {
	plans   *json.Encoder
	answers *bufio.Scanner
}

// NewRemote talks to a process that runs Serve, by its standard input and output.
func NewRemote(in io.Writer, out io.Reader) *Remote {
	r := &Remote{json.NewEncoder(in), bufio.NewScanner(out)}
	r.answers.Buffer(nil, maxLine)
	return r
}

// Measure has a plan carried out. progress, if not nil, is told how far the
// measurement is. It returns early when the process ends: ErrNoReport.
func (r *Remote) Measure(p Plan, progress func(readbench.Progress)) (readbench.Report, error) {
	if err := r.plans.Encode(p); err != nil {
		return readbench.Report{}, fmt.Errorf("give the reader its plan: %w", err)
	}
	for r.answers.Scan() {
		var m message
		if err := json.Unmarshal(r.answers.Bytes(), &m); err != nil {
			return readbench.Report{}, fmt.Errorf("the reader said %.80q: %w", r.answers.Text(), err)
		}
		if m.Report != nil {
			return *m.Report, nil
		}
		if m.Progress != nil && progress != nil {
			progress(*m.Progress)
		}
	}
	if r.answers.Err() != nil {
		return readbench.Report{}, fmt.Errorf("the reader's answer: %w", r.answers.Err())
	}
	return readbench.Report{}, ErrNoReport
}
