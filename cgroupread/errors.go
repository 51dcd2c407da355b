// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
)

var (
	// ErrGone says that the cgroup was deleted.
	ErrGone = errors.New("the cgroup is gone")
	// ErrNoController says that no mounted hierarchy has the controller.
	ErrNoController = errors.New("the controller is in no mounted cgroup hierarchy")
	// ErrOutside says that the cgroup isn't below what is mounted here: it lies
	// outside the cgroup namespace or beside the part that a container sees.
	ErrOutside = errors.New("the cgroup is outside of what is mounted here")
	// ErrNoProcess says that the process ended, or never was.
	ErrNoProcess = errors.New("no such process")
	// ErrClosed says that the handle was closed.
	ErrClosed = errors.New("the cgroup handle is closed")
	// ErrNoCgroups says that no cgroup hierarchy with a controller is mounted.
	ErrNoCgroups = errors.New("no cgroup hierarchy is mounted")
)

// ParseError says which line of a kernel file can't be read.
type ParseError struct {
	Path  string // the file
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

var (
	errNotNumber   = errors.New("not an unsigned decimal number")
	errTooLarge    = errors.New("number above 2^64−1")
	errNoPeriod    = errors.New("want quota and period")
	errPeriod      = errors.New("the period isn't a positive number")
	errNotKeyValue = errors.New("want key, blank, number")
	errFields      = errors.New("want hierarchy:controllers:path")
	errNotPath     = errors.New("not an absolute cgroup path")
	errNotName     = errors.New("not a controller's name")
	errTooLong     = errors.New("more than 1 MiB")
)
