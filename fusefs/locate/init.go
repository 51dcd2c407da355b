// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxWalk bounds the walk up to init, which a reader's container can make as
// long as it likes (a process may have as many ancestors as there are PIDs).
// One step costs some 20 µs.
const maxWalk = 512

// maxText bounds what is read of a file of /proc/PID: a status lists up to
// 65,536 supplementary groups, a cgroup file has a path of at most 4 KiB for
// each hierarchy.
const maxText = 1 << 20

// errNoInit says that a namespace's init can't be told from this reader: it
// has ended, or the reader came from outside and nothing leads to it.
var errNoInit = errors.New("no init process leads to the PID namespace")

// askInit asks the kernel for the init process of space and takes hold of it.
// ENOTTY means that the kernel doesn't know the question.
func (l *Locator) askInit(space spaceFile) (task, error) {
	pid, err := space.initPID()
	if err != nil {
		return task{}, err
	}
	init, err := openTask(l.proc, pid)
	if err != nil {
		if ended(err) {
			err = errNoInit
		}
		return task{}, err
	}
	// A namespace has one init for its whole life. So if the same number is
	// its init's before and after, the directory opened between is init's.
	again, err := space.initPID()
	if err == nil && again != pid {
		err = errNoInit
	}
	if err != nil {
		init.close()
		return task{}, err
	}
	return init, nil
}

// initPID returns the PID that the init process of the namespace has in ours
// (ioctl_nsfs(2), from kernel 6.11 on; ENOTTY before).
func (s spaceFile) initPID() (int, error) {
	for {
		pid, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), unix.NS_GET_PID_FROM_PIDNS, 1)
		switch errno {
		case 0:
			return int(pid), nil
		case unix.EINTR:
		case unix.ESRCH:
			return 0, errNoInit
		default:
			return 0, fmt.Errorf("init of PID namespace %d: ioctl NS_GET_PID_FROM_PIDNS: %w", s.ino, errno)
		}
	}
}

// walkToInit finds the init process of space, the namespace of reader, among
// the reader's ancestors: orphans are given to their namespace's init, so for
// whoever was born in the namespace it is one of them. errNoInit when the walk
// leaves the namespace (an entrant's parent is outside) or is too long.
func (l *Locator) walkToInit(reader task, space namespace) (task, error) {
	status, err := reader.status()
	if err != nil {
		return task{}, walkError(err)
	}
	for next, step := status.tgid, 0; step < maxWalk && next != 0; step++ {
		at, err := openTask(l.proc, next)
		if err != nil {
			return task{}, walkError(err)
		}
		status, err := l.statusWithin(at, space)
		if err != nil {
			at.close()
			return task{}, walkError(err)
		}
		if status.innermost == 1 {
			return at, nil
		}
		at.close()
		next = status.parent
	}
	return task{}, errNoInit
}

// statusWithin returns the status of a task that is in space; errNoInit if it
// is in another namespace.
func (l *Locator) statusWithin(at task, space namespace) (status, error) {
	ns, err := at.namespace()
	if err != nil {
		return status{}, err
	}
	if ns != space {
		return status{}, errNoInit
	}
	return at.status()
}

// walkError: an ancestor that ended while it was looked at leaves no path.
func walkError(err error) error {
	if ended(err) {
		return errNoInit
	}
	return err
}

// status is what the walk needs of /proc/PID/status.
type status struct {
	tgid      int // the process that the thread belongs to, as /proc numbers it
	parent    int // its parent, likewise; 0 where /proc can't see it
	innermost int // its own number in the innermost PID namespace it is in
}

// status reads the task's status.
func (t task) status() (status, error) {
	text, err := t.read("status")
	if err != nil {
		return status{}, err
	}
	s, err := parseStatus(text)
	if err != nil {
		return status{}, fmt.Errorf("process: %s: %w", t.path("status"), err)
	}
	return s, nil
}

// parseStatus takes Tgid, PPid and the last number of NSpid (proc_pid_status(5))
// from the text of a status file.
func parseStatus(text []byte) (status, error) {
	var s status
	for _, key := range []struct {
		name string
		to   *int
	}{{"Tgid", &s.tgid}, {"PPid", &s.parent}, {"NSpid", &s.innermost}} {
		value, err := lastNumber(text, key.name)
		if err != nil {
			return status{}, err
		}
		*key.to = value
	}
	return s, nil
}

// lastNumber returns the last number in the line "NAME:\tN\tN…". The name of
// the process can't fake a line: the kernel escapes newlines in it.
func lastNumber(text []byte, name string) (int, error) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(name+":"))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0, fmt.Errorf("%s: %q has no number", name, line)
		}
		n, err := strconv.Atoi(string(fields[len(fields)-1]))
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%s: %q is no process number", name, fields[len(fields)-1])
		}
		return n, nil
	}
	return 0, fmt.Errorf("no line %q", name)
}
