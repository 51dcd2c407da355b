// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wrapperName is argv[0] of the test binary when it is to install the filter:
// wrapperName SOCKET KIND,… PATH ARGV0 ARGV…
const wrapperName = "procfs-shim-inject"

// wrapperFailed is the wrapper's exit status when it can't execute the command.
const wrapperFailed = 124

// Main is the first thing that TestMain of a package which uses Run calls. In
// the test's own process it returns at once; in the process that Run starts it
// installs the filter, passes its listener on and executes the command.
func Main() {
	if len(os.Args) == 0 || os.Args[0] != wrapperName {
		return
	}
	if err := wrap(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inject:", err)
	}
	os.Exit(wrapperFailed)
}

func wrap(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("wrapper: arguments %q", args)
	}
	socket, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("wrapper: socket: %w", err)
	}
	unix.CloseOnExec(socket)
	var kinds []Kind
	for kind := range strings.SplitSeq(args[1], ",") {
		kinds = append(kinds, Kind(kind))
	}
	// A filter belongs to a thread. execve(2) keeps that of the thread that
	// calls it, and this one has it.
	goruntime.LockOSThread()
	listener, err := install(pick(kinds))
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return fmt.Errorf("wrapper: pass the listener: %w", err)
	}
	if err := unix.Exec(args[2], args[3:], os.Environ()); err != nil {
		return fmt.Errorf("wrapper: execute %s: %w", args[2], err)
	}
	return nil
}

// install puts the filter on the calling thread and returns its listener, which
// is closed on exec.
func install(calls []call) (listener int, err error) {
	filter, err := program(calls)
	if err != nil {
		return -1, err
	}
	if os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("wrapper: no_new_privs: %w", err)
		}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// WAIT_KILLABLE_RECV (Linux 5.19) keeps signals, of which the Go runtime
	// sends its threads many, from interrupting a call that waits for us: it
	// would be made again, and counted again.
	for _, flags := range []uintptr{
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
	} {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		if errno == 0 {
			return int(fd), nil
		}
		err = errno
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return -1, fmt.Errorf("wrapper: install the filter: %w", err)
}
