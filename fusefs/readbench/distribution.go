// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"fmt"
	"strconv"
	"strings"
)

// Bin is how many reads took from From up to, but not, To nanoseconds.
type Bin struct {
	From, To int64
	Reads    uint64
}

// Distribution is a histogram: bins in ascending order, without the empty ones.
// As text, and so in JSON, it is "FROM-TO:READS …", since a list of objects
// would bury the rest of a report.
type Distribution []Bin

// Reads is how many reads there are in all bins.
func (d Distribution) Reads() uint64 {
	var n uint64
	for _, b := range d {
		n += b.Reads
	}
	return n
}

// MarshalText implements encoding.TextMarshaler.
func (d Distribution) MarshalText() ([]byte, error) {
	var text []byte
	for i, b := range d {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, b.From, 10)
		text = append(text, '-')
		text = strconv.AppendInt(text, b.To, 10)
		text = append(text, ':')
		text = strconv.AppendUint(text, b.Reads, 10)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler. Bins have to be in order
// and not empty.
func (d *Distribution) UnmarshalText(text []byte) error {
	var read Distribution
	last := int64(0)
	for field := range strings.FieldsSeq(string(text)) {
		b, err := parseBin(field)
		if err != nil {
			return err
		}
		if b.From < last || b.To <= b.From || b.Reads == 0 {
			return fmt.Errorf("distribution: %.40q: out of order, or empty", field)
		}
		last = b.To
		read = append(read, b)
	}
	*d = read
	return nil
}

func parseBin(field string) (b Bin, err error) {
	times, reads, counted := strings.Cut(field, ":")
	from, to, ranged := strings.Cut(times, "-")
	if !counted || !ranged {
		return b, fmt.Errorf("distribution: %.40q is not FROM-TO:READS", field)
	}
	if b.From, err = strconv.ParseInt(from, 10, 64); err == nil {
		if b.To, err = strconv.ParseInt(to, 10, 64); err == nil {
			b.Reads, err = strconv.ParseUint(reads, 10, 64)
		}
	}
	if err != nil {
		return b, fmt.Errorf("distribution: %.40q: %w", field, err)
	}
	return b, nil
}
