// SPDX-License-Identifier: Apache-2.0

// Package failure says what it means that a request can't be answered: which error
// number its caller gets, and under which cause it is counted. A reader gets an
// error rather than a text that would be believed; the log says the cause once.
package failure

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
)

// What a request can fail with in package fusefs, beside the errors of what it reads.
var (
	ErrStale        = errors.New("the container of this file is no longer registered")
	ErrNotDirectory = errors.New("not a directory")
	ErrDirectory    = errors.New("a directory")
	ErrNoLink       = errors.New("not a symbolic link")
	ErrNoRequest    = errors.New("no such ioctl")
	ErrNoSnapshot   = errors.New("the handle holds no snapshot")
	ErrReadOnly     = errors.New("the file system is read-only")
	ErrCached       = errors.New("the text is not for the kernel's page cache")
	ErrSnapshotGone = errors.New("the text that this handle was reading was dropped")
	ErrPanic        = errors.New("internal error")
)

// A Cause is a class of failures, as they are counted.
type Cause string

// The causes that reads are counted under.
const (
	CauseCgroupGone    Cause = "cgroup-gone"       // the container's cgroup was removed
	CauseCgroup        Cause = "cgroup-unreadable" // its files can't be read or understood
	CauseHost          Cause = "host-unreadable"   // a file of the host can't be read or understood
	CauseReader        Cause = "reader-unknown"    // a reader of the shared tree could not be located
	CauseSnapshotGone  Cause = "snapshot-gone"     // the reader held more snapshots than a container may
	CauseNotRegistered Cause = "not-registered"    // the container was removed from the tree
	CauseInternal      Cause = "internal"          // a bug; the log has the stack
	TheRequester       Cause = ""                  // the request itself is at fault: nothing to count
)

// outcomes says what becomes of an error: the first row whose error it is
// (errors.Is) counts.
//
//nolint:gochecknoglobals // a constant table
var outcomes = []struct {
	is    error
	errno unix.Errno
	cause Cause
}{
	{nodes.ErrNone, unix.ENOENT, TheRequester},
	{ErrNotDirectory, unix.ENOTDIR, TheRequester},
	{ErrDirectory, unix.EISDIR, TheRequester},
	{ErrNoLink, unix.EINVAL, TheRequester},
	{ErrNoRequest, unix.ENOTTY, TheRequester},
	{ErrNoSnapshot, unix.ENODATA, TheRequester},
	{ErrReadOnly, unix.EROFS, TheRequester},
	{ErrCached, unix.EINVAL, TheRequester},
	{ErrStale, unix.ESTALE, CauseNotRegistered},
	{ErrSnapshotGone, unix.EIO, CauseSnapshotGone},
	{ErrPanic, unix.EIO, CauseInternal},
	{hostread.ErrUnreadable, unix.EIO, CauseHost},
	{source.ErrNoTasks, unix.EIO, CauseHost},
	{locate.ErrNotVisible, unix.EIO, CauseReader},
	{cgroupread.ErrGone, unix.EIO, CauseCgroupGone},
}

// Of is the one place that decides what a failed request tells its
// caller, and what the failure is counted as. Whatever keeps a view from being
// told is EIO: an error that programs report, where an empty or another's file
// would be believed.
func Of(err error) (unix.Errno, Cause) {
	if err == nil {
		return 0, TheRequester
	}
	for _, o := range outcomes {
		if errors.Is(err, o.is) {
			return o.errno, o.cause
		}
	}
	return unix.EIO, CauseCgroup
}
