// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

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
	walks  bool      // the kernel doesn't tell a namespace's init (before 6.11)
	now    func() time.Time

	kept    *kept
	buffers sync.Pool // of *[]byte, for texts
}

// An Option changes how a [Locator] works.
type Option func(*Locator)

// Clock sets the clock that says how old something is, instead of time.Now.
func Clock(now func() time.Time) Option { return func(l *Locator) { l.now = now } }

// New returns a Locator that reads the processes below procRoot ("/proc"),
// which must be a procfs of this process's own PID namespace, and understands
// their cgroups by layout. If procRoot can't be read, Locate says why.
func New(procRoot string, layout *cgroupread.Layout, options ...Option) *Locator {
	l := &Locator{proc: procRoot, layout: layout, now: time.Now, kept: newKept(mostKept)}
	l.buffers.New = func() any {
		text := make([]byte, 4096) // on v1 it has less than 1 kB
		return &text
	}
	for _, option := range options {
		option(l)
	}
	l.noHost = l.lookAtHost()
	return l
}

// lookAtHost finds out the host's PID namespace, and whether the kernel tells
// init processes.
func (l *Locator) lookAtHost() error {
	space, err := openSpace(unix.AT_FDCWD, l.proc+"/self/ns/pid")
	if err != nil {
		return err
	}
	defer space.close()
	l.host = space.namespace
	_, err = space.initPID()
	l.walks = errors.Is(err, unix.ENOTTY)
	return nil
}

// Close closes what is kept open. Readers are located as before, only slower.
func (l *Locator) Close() { l.kept.clear() }

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
	if reader := l.kept.use(tid); reader != nil {
		place, err := l.placeOf(reader)
		reader.release()
		if err == nil {
			return place, nil
		}
		// It has ended, or its namespace's init has: the number may be another's now.
		l.kept.forget(reader)
	}
	return l.look(tid)
}

// look locates a thread of which nothing is known, and keeps it.
func (l *Locator) look(tid int) (Place, error) {
	task, err := openTask(l.proc, tid)
	if err != nil {
		return Place{}, gone(err)
	}
	defer task.close()
	reader, err := task.follow()
	if err != nil {
		return Place{}, gone(err)
	}
	defer reader.release()
	if reader.space, err = task.namespace(); err != nil {
		return Place{}, gone(err)
	}
	if reader.space != l.host {
		err = l.findInit(task, reader)
	}
	var place Place
	if err == nil {
		place, err = l.placeOf(reader)
	}
	if errors.Is(err, errNoInit) {
		own, err := l.membership(reader)
		if err != nil {
			return Place{}, gone(err)
		}
		// Who enters a container of systemd's comes to be in its init's cgroup:
		// on v2 its own takes no process (runc exec). Not kept: where init is
		// walked to, there may be a way later.
		return Place{Cgroup: own.paths.TrimInitScope()}, nil
	}
	if err == nil {
		l.kept.add(reader)
	}
	return place, err
}

// placeOf returns the place of a reader whose init process is known. errNoInit if
// that has ended.
func (l *Locator) placeOf(reader *thread) (Place, error) {
	own, err := l.membership(reader)
	if err != nil {
		return Place{}, gone(err)
	}
	if reader.init == nil {
		return Place{Cgroup: own.paths}, nil
	}
	init := own
	if reader.init != reader {
		if init, err = l.recent(reader.init); ended(err) || errors.Is(err, cgroupread.ErrGone) {
			l.kept.forget(reader.init)
			return Place{}, errNoInit // it is ending, and with it all in its namespace
		}
		if err != nil {
			return Place{}, err
		}
	}
	if last := reader.found.Load(); last != nil && last.own == own && last.init == init {
		return last.place, nil
	}
	place := Place{Cgroup: init.paths.TrimInitScope(), Init: reader.init.id}
	if !place.Cgroup.Contains(own.paths) {
		place.Cgroup = own.paths
	}
	reader.found.Store(&finding{own: own, init: init, place: place})
	return place, nil
}

// findInit gives reader, which is task, the init process of its namespace: the one
// that is known, or the one that the kernel tells or, where it can't, a walk up
// the parents leads to. errNoInit if there is none to be found.
func (l *Locator) findInit(task task, reader *thread) error {
	if !l.walks { // else an entrant has no init, and that must not depend on what is kept
		if reader.init = l.kept.initOf(reader.space); reader.init != nil {
			return nil
		}
	}
	init, err := l.openInit(task, reader.space)
	if err != nil {
		return err
	}
	defer init.close()
	if init.id == reader.id {
		reader.init = reader
		return nil
	}
	followed, err := init.follow()
	if ended(err) {
		return errNoInit
	}
	if err != nil {
		return err
	}
	followed.space, followed.init = reader.space, followed
	reader.init = followed
	return nil
}

// openInit opens the init process of space, the namespace of reader.
func (l *Locator) openInit(reader task, space namespace) (task, error) {
	if l.walks {
		return l.walkToInit(reader, space)
	}
	file, err := openSpace(reader.dir, "ns/pid")
	if err != nil {
		return task{}, fmt.Errorf("process %d: %w", reader.id, gone(reader.denied(err)))
	}
	defer file.close()
	return l.askInit(file)
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
