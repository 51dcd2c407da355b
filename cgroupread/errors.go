// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

var (
	// ErrGone says that the cgroup was deleted.
	ErrGone = branch.ErrGone
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
type ParseError = cgroupfile.ParseError

var (
	errFields  = errors.New("want hierarchy:controllers:path")
	errNotPath = errors.New("not an absolute cgroup path")
	errNotName = errors.New("not a controller's name")
	errNotKind = errors.New("want cpu, memory, io or irq")
)
