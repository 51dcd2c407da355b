// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Kind is a class of system calls that change the machine.
type Kind string

// The kinds that are counted.
const (
	// Mount: mount, umount2, pivot_root and the calls of the newer mount API.
	Mount Kind = "mount"
	// Mkdir: mkdir and mkdirat.
	Mkdir Kind = "mkdir"
	// Clone: fork, vfork, clone and clone3 that make a process, not a thread.
	Clone Kind = "clone"
	// Unshare: unshare and setns.
	Unshare Kind = "unshare"
	// CgroupWrite: write, pwrite64 and writev to a file of a cgroup hierarchy.
	CgroupWrite Kind = "cgroup-write"
	// Create: openat and openat2 with O_CREAT, mknodat, symlinkat, linkat and
	// the renames, in their older forms as well.
	Create Kind = "create"
	// Remove: unlinkat, unlink and rmdir.
	Remove Kind = "remove"
)

// Kinds returns all of them.
func Kinds() []Kind { return []Kind{Mount, Mkdir, Clone, Unshare, CgroupWrite, Create, Remove} }

// CLONE_THREAD of clone(2): the call makes a thread, which is no process.
const cloneThread = unix.CLONE_THREAD

// condition is what the filter checks of an argument before it asks us: it can
// see the registers only, not what they point to.
type condition struct {
	argument int    // which one
	mask     uint32 // of its low half
	want     bool   // whether some bit of the mask must be set
}

// call describes one system call of the filter. The order of its fields is that
// of the rows below.
type call struct {
	number uintptr
	kind   Kind
	name   string
	// show lists the arguments that describe the call, by their type.
	show []argument
	only *condition
}

// argument says how to read one argument of a call.
type argument struct {
	index int
	as    format
}

type format int

const (
	asPath  format = iota // a string in the tracee's memory
	asFD                  // a descriptor: what /proc/TID/fd/N links to
	asFlags               // a number
	asData                // a buffer; the next argument is its length
)

func paths(index ...int) []argument {
	all := make([]argument, len(index))
	for i, n := range index {
		all[i] = argument{n, asPath}
	}
	return all
}

// table returns the calls that are handed to us; those that only some
// architectures have are in legacy().
func table() []call {
	creates := &condition{2, unix.O_CREAT, true}
	written := []argument{{0, asFD}, {1, asData}}
	return append([]call{
		{unix.SYS_MOUNT, Mount, "mount", paths(0, 1, 2), nil},
		{unix.SYS_UMOUNT2, Mount, "umount2", paths(0), nil},
		{unix.SYS_PIVOT_ROOT, Mount, "pivot_root", paths(0, 1), nil},
		{unix.SYS_OPEN_TREE, Mount, "open_tree", []argument{{0, asFD}, {1, asPath}}, nil},
		{unix.SYS_MOVE_MOUNT, Mount, "move_mount", []argument{{0, asFD}, {1, asPath}, {2, asFD}, {3, asPath}}, nil},
		{unix.SYS_FSOPEN, Mount, "fsopen", paths(0), nil},
		{unix.SYS_FSCONFIG, Mount, "fsconfig", []argument{{1, asFlags}, {2, asPath}}, nil},
		{unix.SYS_FSMOUNT, Mount, "fsmount", nil, nil},
		{unix.SYS_MOUNT_SETATTR, Mount, "mount_setattr", []argument{{0, asFD}, {1, asPath}}, nil},
		{unix.SYS_MKDIRAT, Mkdir, "mkdirat", []argument{{0, asFD}, {1, asPath}}, nil},
		{unix.SYS_CLONE, Clone, "clone", []argument{{0, asFlags}}, &condition{0, cloneThread, false}},
		{unix.SYS_CLONE3, Clone, "clone3", nil, nil},
		{unix.SYS_UNSHARE, Unshare, "unshare", []argument{{0, asFlags}}, nil},
		{unix.SYS_SETNS, Unshare, "setns", []argument{{0, asFD}, {1, asFlags}}, nil},
		{unix.SYS_WRITE, CgroupWrite, "write", written, nil},
		{unix.SYS_PWRITE64, CgroupWrite, "pwrite64", written, nil},
		{unix.SYS_WRITEV, CgroupWrite, "writev", []argument{{0, asFD}}, nil},
		{unix.SYS_OPENAT, Create, "openat", []argument{{0, asFD}, {1, asPath}}, creates},
		{unix.SYS_OPENAT2, Create, "openat2", []argument{{0, asFD}, {1, asPath}}, nil},
		{unix.SYS_MKNODAT, Create, "mknodat", []argument{{0, asFD}, {1, asPath}}, nil},
		{unix.SYS_SYMLINKAT, Create, "symlinkat", []argument{{0, asPath}, {1, asFD}, {2, asPath}}, nil},
		{unix.SYS_LINKAT, Create, "linkat", []argument{{0, asFD}, {1, asPath}, {2, asFD}, {3, asPath}}, nil},
		{unix.SYS_RENAMEAT2, Create, "renameat2", []argument{{0, asFD}, {1, asPath}, {2, asFD}, {3, asPath}}, nil},
		{unix.SYS_RENAMEAT, Create, "renameat", []argument{{0, asFD}, {1, asPath}, {2, asFD}, {3, asPath}}, nil},
		{unix.SYS_UNLINKAT, Remove, "unlinkat", []argument{{0, asFD}, {1, asPath}}, nil},
	}, legacy()...)
}

// Call is one system call that was counted.
type Call struct {
	// N is its number, from 1.
	N    int
	Kind Kind
	// Name is the system call's.
	Name string
	// What describes its arguments.
	What string
	// TID is the thread that made it and PID its process, as this process's
	// PID namespace numbers them.
	TID, PID int
	// Command is the process's name (comm).
	Command string
	// Root says that it is the root process's.
	Root bool
}

// String gives one line.
func (c Call) String() string {
	who := c.Command
	if c.Root {
		who += " (root)"
	}
	return fmt.Sprintf("%d: %s %d: %s(%s)", c.N, who, c.PID, c.Name, c.What)
}
