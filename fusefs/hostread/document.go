// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// A document is a file of the host that is parsed, and shared for a while between
// all who read it.
type document[T any] struct {
	file
	parse func(old T, text []byte) (T, error)
	kept  shared[T]
}

// newDocument returns the document at path.
func newDocument[T any](path string, clock func() time.Time, parse func(old T, text []byte) (T, error)) *document[T] {
	return &document[T]{
		file: file{path: path}, parse: parse,
		kept: shared[T]{maxAge: maxAge, now: clock},
	}
}

// get returns what the document said at most 10 ms ago.
func (d *document[T]) get(record *Record) (T, error) {
	return d.kept.get(record, d.path, always, d.read, func(old T, text []byte) (T, error) {
		value, err := d.parse(old, text)
		if err != nil {
			return value, fmt.Errorf("%w: %s: %w", ErrUnreadable, d.path, err)
		}
		return value, nil
	})
}

// parseInto parses into the memory of an old value, nil for the first.
func parseInto[T any, P interface {
	*T
	Parse(text []byte) error
}](old P, text []byte) (P, error) {
	if old == nil {
		old = new(T)
	}
	return old, old.Parse(text)
}

// counters is a host's stat less its CPUs.
type counters struct {
	stat *procfile.Stat
	text []byte // memory for what is parsed
}

// parseStat parses the sum over all CPUs and what stands after the CPUs' lines.
func parseStat(old counters, text []byte) (counters, error) {
	sum, rest, _ := bytes.Cut(text, []byte("\n"))
	for bytes.HasPrefix(rest, []byte("cpu")) {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	old.text = append(append(append(old.text[:0], sum...), '\n'), rest...)
	var err error
	if old.stat, err = parseInto(old.stat, old.text); err != nil {
		// The lines of its error are counted in the whole file.
		old.stat, err = parseInto(old.stat, text)
	}
	return old, err
}

// parseNumber parses a file that holds one decimal number, as those below
// /proc/sys do.
func parseNumber(_ uint64, text []byte) (uint64, error) {
	return strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
}

// parseList parses a list of CPUs or nodes.
func parseList(_ cpulist.Set, text []byte) (cpulist.Set, error) { return cpulist.Parse(string(text)) }

// parseText takes a text as it is.
func parseText(_, text []byte) ([]byte, error) { return text, nil }
