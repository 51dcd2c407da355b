// SPDX-License-Identifier: Apache-2.0

package cpulist

import (
	"errors"
	"fmt"
)

var (
	errNoNumber  = errors.New("a number is missing")
	errNotDigit  = errors.New("not a number or range")
	errTooLarge  = fmt.Errorf("id above %d", MaxID)
	errBackwards = errors.New("range runs backwards")
)

// ParseError says which item of a CPU list can't be read.
type ParseError struct {
	Input  string // the item between the commas
	Offset int    // where it starts, in bytes, after leading blanks
	Err    error  // what is wrong with it
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("CPU list: item %q at byte %d: %v", clip(e.Input), e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *ParseError) Unwrap() error { return e.Err }

// clip keeps a hostile text from filling the log.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
