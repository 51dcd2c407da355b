// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

// ErrNotVisible says that the reader has no number in the PID namespace of the
// process that mounted (FUSE sends TID 0), or has ended.
var ErrNotVisible = errors.New("the reader is not visible in this PID namespace")

// Locator finds readers' cgroups. Its zero value is of no use; see New.
type Locator struct {
	proc   string
	layout *cgroupread.Layout
	host   namespace // the PID namespace of this process
	noHost error     // why host could not be found out
}

// New returns a Locator that reads the processes below procRoot ("/proc"),
// which must be a procfs of this process's own PID namespace, and understands
// their cgroups by layout. If procRoot can't be read, Locate says why.
func New(procRoot string, layout *cgroupread.Layout) *Locator {
	l := &Locator{proc: procRoot, layout: layout}
	l.host, l.noHost = statNamespace(unix.AT_FDCWD, procRoot+"/self/ns/pid")
	return l
}

// A Place is where a reader is.
type Place struct {
	// Cgroup is the one whose view it is to be shown.
	Cgroup cgroupread.Paths
	// Init is the PID of the init process of its PID namespace, 0 for a reader in
	// the host's and where no process leads there. In a pod that shares one
	// namespace it is the pause container's process: the pod's start.
	Init int
}

// Locate returns the place whose view the thread tid must be shown, as the
// package comment says it. The error is ErrNotVisible for a tid of 0 and for a
// thread that has ended; any other error names the file of /proc that could
// not be read.
func (l *Locator) Locate(tid uint32) (Place, error) {
	if l.noHost != nil {
		return Place{}, fmt.Errorf("locate reader %d: %w", tid, l.noHost)
	}
	if tid == 0 {
		return Place{}, fmt.Errorf("locate reader 0: %w", ErrNotVisible)
	}
	place, err := l.locate(int(tid))
	if err != nil {
		return Place{}, fmt.Errorf("locate reader %d: %w", tid, err)
	}
	return place, nil
}

func (l *Locator) locate(tid int) (Place, error) {
	reader, err := openTask(l.proc, tid)
	if err != nil {
		return Place{}, gone(err)
	}
	defer reader.close()
	own, err := reader.cgroup(l.layout)
	if err != nil {
		return Place{}, gone(err)
	}
	space, err := reader.openNamespace()
	if err != nil {
		return Place{}, gone(err)
	}
	defer space.close()
	if space.namespace == l.host {
		return Place{Cgroup: own}, nil
	}
	container, err := l.initPlace(reader, space)
	if errors.Is(err, errNoInit) {
		// Who enters a container of systemd's comes to be in its init's cgroup:
		// on v2 its own takes no process (runc exec).
		return Place{Cgroup: own.TrimInitScope()}, nil
	}
	if err != nil {
		return Place{}, err
	}
	container.Cgroup = container.Cgroup.TrimInitScope()
	if !container.Cgroup.Contains(own) {
		container.Cgroup = own
	}
	return container, nil
}

// initPlace returns the place of the init process of space, in which reader is;
// errNoInit if there is none to be found.
func (l *Locator) initPlace(reader task, space spaceFile) (Place, error) {
	init, err := l.findInit(reader, space)
	if err != nil {
		return Place{}, err
	}
	defer init.close()
	paths, err := init.cgroup(l.layout)
	if ended(err) || errors.Is(err, cgroupread.ErrGone) {
		return Place{}, errNoInit // it is ending, and with it all in its namespace
	}
	return Place{Cgroup: paths, Init: init.id}, err
}

// findInit opens the init process of space, asking the kernel or, where it
// doesn't know the question (before 6.11), walking up from reader.
func (l *Locator) findInit(reader task, space spaceFile) (task, error) {
	init, err := l.askInit(space)
	if errors.Is(err, unix.ENOTTY) {
		return l.walkToInit(reader, space.namespace)
	}
	return init, err
}

// gone turns the ways in which /proc says that a thread has ended into
// ErrNotVisible, keeping the cause.
func gone(err error) error {
	if ended(err) {
		return fmt.Errorf("%w: %w", ErrNotVisible, err)
	}
	return err
}

// ended says whether err is how /proc says that a process has ended: its
// directory is no more there (ENOENT), or its files have nobody to describe
// any more (ESRCH).
func ended(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
}
