// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"strconv"
)

// swapsPath names the file in errors.
const swapsPath = "proc/swaps"

// A Swaps is the content of /proc/swaps (mm/swapfile.c, proc_swaps(5)): a line of
// headings, and one for each swap area.
//
//	Filename				Type		Size		Used		Priority
//	/dev/vda                                partition	65532		0		-2
//
// Before 5.10 one tab less followed Size and Used: the headings tell which kernel
// it is. The host's areas are kept as text, since no container is shown them.
type Swaps struct {
	text     []byte
	headings int // where the first area's line starts
}

// A SwapArea is a line that can be added.
type SwapArea struct {
	Name     string // without blanks, tabs, newlines and backslashes, which the kernel escapes
	Type     string // the kernel's: "partition", "file"
	Size     uint64 // bytes
	Used     uint64 // bytes
	Priority int
}

// ParseSwaps parses the whole of /proc/swaps. The text is copied. The error is a
// [*ParseError].
func ParseSwaps(text []byte) (*Swaps, error) {
	s := new(Swaps)
	if err := s.Parse(text); err != nil {
		return nil, err
	}
	return s, nil
}

// Parse replaces what s holds by the whole of text, which is copied, and keeps s's
// memory. After an error s is empty.
func (s *Swaps) Parse(text []byte) error {
	s.text, s.headings = s.text[:0], 0
	line, _, err := firstLine(swapsPath, text)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("Filename\t")) {
		return &ParseError{Path: swapsPath, Text: "Filename", Cause: ErrMissing}
	}
	s.text, s.headings = append(s.text, text...), len(line)+1
	return nil
}

// CopyHeadings makes s a copy of src without its areas, reusing s's memory.
func (s *Swaps) CopyHeadings(src *Swaps) {
	s.text = append(s.text[:0], src.text[:src.headings]...)
	s.headings = src.headings
}

// Areas returns the number of lines after the headings.
func (s *Swaps) Areas() int { return bytes.Count(s.text[s.headings:], []byte{'\n'}) }

// Add adds the line of an area as the kernel that wrote the headings would.
func (s *Swaps) Add(area SwapArea) {
	wide := bytes.Contains(s.text[:s.headings], []byte("Size\t\tUsed"))
	s.text = area.append(s.text, wide)
}

// append writes the line, sizes in kB, rounded down. wide says that it is 5.10 or
// later, where small numbers take one tab more.
func (a *SwapArea) append(dst []byte, wide bool) []byte {
	const typeColumn = 40    // a longer name pushes the type to the right
	const twoTabs = 10000000 // below it
	dst = append(dst, a.Name...)
	dst = appendBlanks(dst, max(1, typeColumn-len(a.Name)))
	dst = append(dst, a.Type...)
	if len(a.Type) < len("partition")-1 {
		dst = append(dst, '\t')
	}
	for _, size := range [...]uint64{a.Size / kB, a.Used / kB} {
		dst = append(dst, '\t')
		dst = appendRight(dst, size, 0)
		if wide && size < twoTabs {
			dst = append(dst, '\t')
		}
	}
	dst = append(dst, '\t')
	dst = strconv.AppendInt(dst, int64(a.Priority), 10)
	return append(dst, '\n')
}

// Append appends the file's text to dst.
func (s *Swaps) Append(dst []byte) []byte { return append(dst, s.text...) }
