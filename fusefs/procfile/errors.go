// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"errors"
	"fmt"
)

// Causes of a [ParseError], for errors.Is.
var (
	// ErrEmpty says that there was nothing to parse.
	ErrEmpty = errors.New("file is empty")
	// ErrTruncated says that the text ends within a line, as a read that was
	// cut short does. The kernel ends every line of these files.
	ErrTruncated = errors.New("last line has no newline")
	// ErrNumber says that a number is not one, or is too large.
	ErrNumber = errors.New("not a number in range")
	// ErrForm says that a line is not of the kernel's form.
	ErrForm = errors.New("not of the kernel's form")
	// ErrMissing says that a line is not there without which the file means
	// nothing.
	ErrMissing = errors.New("required line is missing")
)

// quotedBytes bounds how much of the input an error quotes: a line can be as
// long as the file, and errors end up in logs.
const quotedBytes = 80

// A ParseError says which line of which file could not be understood, and why.
type ParseError struct {
	Path  string // the file as its parser knows it, relative to the host's root: "proc/meminfo"
	Line  int    // counted from 1; 0 when the file as a whole is meant
	Text  string // the line (at most 80 bytes of it), or what is missing
	Cause error  // one of the sentinels above, possibly wrapped
}

// Error returns one line: what failed, the path, the line and the cause, with
// the input quoted.
func (e *ParseError) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("parse %s: line %d: %q: %v", e.Path, e.Line, e.Text, e.Cause)
	case e.Text != "":
		return fmt.Sprintf("parse %s: %q: %v", e.Path, e.Text, e.Cause)
	default:
		return fmt.Sprintf("parse %s: %v", e.Path, e.Cause)
	}
}

// Unwrap returns the cause.
func (e *ParseError) Unwrap() error { return e.Cause }

// failLine makes the error of one line. line is without its newline.
func failLine[T ~string | ~[]byte](path string, number int, line T, cause error) *ParseError {
	text := string(line[:min(len(line), quotedBytes)])
	return &ParseError{Path: path, Line: number, Text: text, Cause: cause}
}
