// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
)

// What a request can fail with inside this package.
var (
	errStale        = errors.New("the container of this file is no longer registered")
	errNotDirectory = errors.New("not a directory")
	errDirectory    = errors.New("a directory")
	errNoLink       = errors.New("not a symbolic link")
	errNoRequest    = errors.New("no such ioctl")
	errNoSnapshot   = errors.New("the handle holds no snapshot")
	errReadOnly     = errors.New("the file system is read-only")
	errCached       = errors.New("the text is not for the kernel's page cache")
	errSnapshotGone = errors.New("the text that this handle was reading was dropped")
	errPanic        = errors.New("internal error")
)

// A Cause is a class of failures, as they are counted.
type Cause string

// The causes that reads are counted under.
const (
	CauseCgroupGone     Cause = "cgroup-gone"       // the container's cgroup was removed
	CauseCgroup         Cause = "cgroup-unreadable" // its files can't be read or understood
	CauseHost           Cause = "host-unreadable"   // a file of the host can't be read or understood
	CauseReader         Cause = "reader-unknown"    // a reader of the shared tree could not be located
	CauseSnapshotGone   Cause = "snapshot-gone"     // the reader held more snapshots than a container may
	CauseNotRegistered  Cause = "not-registered"    // the container was removed from the tree
	CauseInternal       Cause = "internal"          // a bug; the log has the stack
	causeOfTheRequester Cause = ""                  // the request itself is at fault: nothing to count
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
	{nodes.ErrNone, unix.ENOENT, causeOfTheRequester},
	{errNotDirectory, unix.ENOTDIR, causeOfTheRequester},
	{errDirectory, unix.EISDIR, causeOfTheRequester},
	{errNoLink, unix.EINVAL, causeOfTheRequester},
	{errNoRequest, unix.ENOTTY, causeOfTheRequester},
	{errNoSnapshot, unix.ENODATA, causeOfTheRequester},
	{errReadOnly, unix.EROFS, causeOfTheRequester},
	{errCached, unix.EINVAL, causeOfTheRequester},
	{errStale, unix.ESTALE, CauseNotRegistered},
	{errSnapshotGone, unix.EIO, CauseSnapshotGone},
	{errPanic, unix.EIO, CauseInternal},
	{hostread.ErrUnreadable, unix.EIO, CauseHost},
	{source.ErrNoTasks, unix.EIO, CauseHost},
	{locate.ErrNotVisible, unix.EIO, CauseReader},
	{cgroupread.ErrGone, unix.EIO, CauseCgroupGone},
}

// outcome is the one place that decides what a failed request tells its
// caller, and what the failure is counted as. Whatever keeps a view from being
// told is EIO: an error that programs report, where an empty or another's file
// would be believed.
func outcome(err error) (unix.Errno, Cause) {
	if err == nil {
		return 0, causeOfTheRequester
	}
	for _, o := range outcomes {
		if errors.Is(err, o.is) {
			return o.errno, o.cause
		}
	}
	return unix.EIO, CauseCgroup
}
