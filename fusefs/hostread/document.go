// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// A document is a file of the host that is parsed, and shared for a while between
// all who read it.
type document[T any] struct {
	file
	parse func(text []byte) (T, error)
	kept  cached[parsed[T]]
}

// parsed is a text and what it says.
type parsed[T any] struct {
	value T
	text  []byte
}

// newDocument returns the document at path.
func newDocument[T any](path string, clock func() time.Time, parse func(text []byte) (T, error)) *document[T] {
	return &document[T]{
		file: file{path: path}, parse: parse,
		kept: cached[parsed[T]]{maxAge: maxAge, now: clock},
	}
}

// get returns what the document said at most 10 ms ago.
func (d *document[T]) get(record *Record) (T, error) {
	p, err := d.kept.get(always, func() (parsed[T], error) {
		text, err := d.read()
		if err != nil {
			return parsed[T]{}, err
		}
		value, err := d.parse(text)
		if err != nil {
			return parsed[T]{}, fmt.Errorf("%w: %s: %w", ErrUnreadable, d.path, err)
		}
		return parsed[T]{value, text}, nil
	})
	record.add(d.path, p.text)
	return p.value, err
}

// parseNumber parses a file that holds one decimal number, as those below
// /proc/sys do.
func parseNumber(text []byte) (uint64, error) {
	return strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
}

// parseList parses a list of CPUs or nodes.
func parseList(text []byte) (cpulist.Set, error) { return cpulist.Parse(string(text)) }
