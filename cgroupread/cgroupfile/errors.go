// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"errors"
	"fmt"
)

// ParseError says which line of a kernel file can't be read.
type ParseError struct {
	Path  string // the file; parsers leave it to their callers
	Line  int    // counted from 1
	Input string // the line
	Err   error  // what is wrong with it
}

func (e *ParseError) Error() string {
	const most = 80 // a hostile text must not fill the log
	input := e.Input
	if len(input) > most {
		input = input[:most] + "…"
	}
	return fmt.Sprintf("parse: %s: line %d: %q: %v", e.Path, e.Line, input, e.Err)
}

// Unwrap is the cause.
func (e *ParseError) Unwrap() error { return e.Err }

// ErrPeriod is what is wrong with the second file of [ParseCFS].
var ErrPeriod = errors.New("the period isn't a positive number")

var (
	errNotNumber   = errors.New("not an unsigned decimal number")
	errTooLarge    = errors.New("number above 2^64−1")
	errNoPeriod    = errors.New("want quota and period")
	errNotKeyValue = errors.New("want key, blank, number")
	errNotDevice   = errors.New("want major:minor and what it did")
	errNotNode     = errors.New("want a name and numbers by node, as N0=1")
	errNotID       = errors.New("not a thread's id")
)

func lineError(line int, input []byte, err error) error {
	return &ParseError{Line: line, Input: string(input), Err: err}
}

// AtPath puts the file's path into a parser's error, which it returns.
func AtPath(err error, file string) error {
	var pe *ParseError
	if errors.As(err, &pe) && pe.Path == "" {
		pe.Path = file
	}
	return err
}
