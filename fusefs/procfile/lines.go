// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"math"
)

// cutLine returns the first line of text without its newline, and what follows
// it. number is the line's, from 1, for the error that a line without newline is.
func cutLine(path string, text []byte, number int) (line, rest []byte, err error) {
	end := bytes.IndexByte(text, '\n')
	if end < 0 {
		return nil, nil, failLine(path, number, text, ErrTruncated)
	}
	return text[:end], text[end+1:], nil
}

// firstLine is cutLine for the first line of a file, which must not be empty and
// end with a line that is whole.
func firstLine(path string, text []byte) (line, rest []byte, err error) {
	if len(text) == 0 {
		return nil, nil, &ParseError{Path: path, Cause: ErrEmpty}
	}
	if end := bytes.LastIndexByte(text, '\n') + 1; end < len(text) {
		return nil, nil, failLine(path, bytes.Count(text, []byte{'\n'})+1, text[end:], ErrTruncated)
	}
	return cutLine(path, text, 1)
}

// parsePlain reads all of s as a decimal number the way the kernel prints one
// without padding: no leading zero. Appending it gives the same digits.
func parsePlain(s []byte) (v uint64, ok bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	return parseUint(s)
}

// parseInt is parsePlain for counts and ids, which the kernel keeps in an int.
func parseInt(s []byte) (n int, ok bool) {
	v, ok := parsePlain(s)
	if !ok || v > math.MaxInt32 {
		return 0, false
	}
	return int(v), true
}

// appendHundredths writes 12 and 34 as "12.34", the kernel's %lu.%02lu.
func appendHundredths(dst []byte, whole, hundredths uint64) []byte {
	dst = appendRight(dst, whole, 0)
	return append(dst, '.', byte('0'+hundredths/10%10), byte('0'+hundredths%10))
}
