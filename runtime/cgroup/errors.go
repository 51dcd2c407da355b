// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrNoController tells that a limit was asked for whose controller this
	// host has not mounted or not enabled.
	ErrNoController = errors.New("controller not available on this host")
	// ErrInUse tells that the cgroup of a new container holds processes already.
	ErrInUse = errors.New("cgroup holds processes")
	// ErrStillThere tells that processes or directories outlived the deadline.
	ErrStillThere = errors.New("still there when the time was up")
)

// WriteError is a cgroup file that refused a value.
type WriteError struct {
	File  string // absolute path
	Value string // what was written
	Err   error  // the system call's
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("cgroup: write %q to %s: %v%s", e.Value, e.File, e.Err, hint(e.File, e.Err))
}

func (e *WriteError) Unwrap() error { return e.Err }

// hint says what the kernel means where it isn't obvious; file may be "".
func hint(file string, err error) string {
	name := filepath.Base(file)
	isDisk := strings.HasPrefix(name, "io.") || strings.HasPrefix(name, "blkio.")
	switch {
	case errors.Is(err, unix.ENOENT) && file != "":
		return " (this kernel or cgroup has no such file)"
	case errors.Is(err, unix.ENODEV) && isDisk:
		return " (no such disk; partitions can't be limited, only whole disks)"
	case errors.Is(err, unix.ENOSPC):
		return " (cpuset.cpus or cpuset.mems is empty)"
	case errors.Is(err, unix.EBUSY):
		return " (in use: memory that can't be reclaimed, or processes in a cgroup that passes controllers on)"
	case errors.Is(err, unix.EROFS):
		return " (the cgroup file system is mounted read-only)"
	}
	return ""
}

// ValueError is a limit that can't be set, found before anything was made.
type ValueError struct {
	Field string // the OCI name, such as memory.swap
	Value string
	Err   error
}

func (e *ValueError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("cgroup: %s: %v", e.Field, e.Err)
	}
	return fmt.Sprintf("cgroup: %s: %s: %v", e.Field, e.Value, e.Err)
}

func (e *ValueError) Unwrap() error { return e.Err }

func badValue(field string, value any, why string, args ...any) error {
	return &ValueError{Field: field, Value: fmt.Sprint(value), Err: fmt.Errorf(why, args...)}
}
