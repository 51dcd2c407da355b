// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Host says where and when results were taken.
type Host struct {
	Kernel string    `json:"kernel"` // uname -r
	Arch   string    `json:"arch"`   // as Go names it
	CPU    string    `json:"cpu"`    // model name, "" where cpuinfo has none
	CPUs   int       `json:"cpus"`   // that this process may run on
	Date   time.Time `json:"date"`
}

// ReadHost asks the machine. The processor's name comes from cpuinfo below
// procRoot.
func ReadHost(procRoot string, now time.Time) (Host, error) {
	h := Host{Arch: goruntime.GOARCH, CPUs: goruntime.NumCPU(), Date: now.UTC().Truncate(time.Second)}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return Host{}, fmt.Errorf("host: uname: %w", err)
	}
	h.Kernel = unix.ByteSliceToString(uts.Release[:])
	text, err := os.ReadFile(filepath.Join(procRoot, "cpuinfo"))
	if err != nil {
		return Host{}, fmt.Errorf("host: %w", err)
	}
	h.CPU = cpuModel(text)
	return h, nil
}

// cpuModel finds the processor's name in cpuinfo; not every architecture has
// it there.
func cpuModel(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		key, value, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Report is everything that a benchmark says, as WriteJSON writes it.
type Report struct {
	Results []Result `json:"results"`
	// Server is what the measured server used meanwhile.
	Server []Use `json:"server,omitempty"`
	// Changes are to an earlier run, if one was given.
	Changes []Change `json:"changes,omitempty"`
	Host    Host     `json:"host"`
	// QuantileError is how far the times in Results can be off, as a part of
	// them.
	QuantileError float64 `json:"quantile_error"`
}

// NewReport puts results and the machine together.
func NewReport(results []Result, h Host) Report {
	if results == nil {
		results = []Result{} // [], not null
	}
	return Report{Results: results, Host: h, QuantileError: QuantileError}
}

// WriteJSON writes the report as one JSON object.
func WriteJSON(w io.Writer, r Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes results for a person, times in microseconds. Below the
// table it says what was wrong with reads.
func WriteTable(w io.Writer, results []Result) error {
	series := several(results)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{fmt.Sprintf("FILE\tTREE\tMODE\t%s%8s\t%8s\t%8s\t%9s\t%8s\t%8s\t%8s\n", series.head(),
		"p50 µs", "p90 µs", "p99 µs", "reads/s", "× kernel", "× null", "× lxcfs")}
	for _, r := range results {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s%8s\t%8s\t%8s\t%9.0f\t%8s\t%8s\t%8s\n", r.File, r.Tree, r.Mode, series.of(r.Readers, r.Containers),
			micros(r.P50), micros(r.P90), micros(r.P99), r.ReadsPerSecond, ratio(r.Ratio), ratio(r.RatioNull), ratio(r.RatioLXCFS)))
	}
	if _, err := io.WriteString(t, strings.Join(lines, "")); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Errors == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s %s %s: %d reads failed or had wrong content, %d were right; the first: %s\n",
			r.File, r.Tree, r.Mode, r.Errors, r.Reads, r.FirstError); err != nil {
			return err
		}
	}
	return nil
}

// columns says which columns tell rows of a series apart.
type columns struct{ readers, containers bool }

func several(results []Result) (c columns) {
	for _, r := range results {
		c.readers = c.readers || r.Readers != results[0].Readers
		c.containers = c.containers || r.Containers != results[0].Containers
	}
	return c
}

func (c columns) head() string {
	head := ""
	if c.readers {
		head += "READERS\t"
	}
	if c.containers {
		head += "CONTAINERS\t"
	}
	return head
}

func (c columns) of(readers, containers int) string {
	text := ""
	if c.readers {
		text += fmt.Sprintf("%7d\t", readers)
	}
	if c.containers {
		text += fmt.Sprintf("%10d\t", containers)
	}
	return text
}

// ratio writes a ratio, which is 0 where there is none.
func ratio(r float64) string {
	if r <= 0 {
		return "-"
	}
	return Significant(r)
}

// micros writes nanoseconds as microseconds.
func micros(ns int64) string {
	if ns == 0 {
		return "-" // nothing was timed
	}
	return Significant(float64(ns) / 1000)
}

// Significant writes a positive number with about three significant digits.
func Significant(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
