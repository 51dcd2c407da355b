// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rlimit is one resource limit that the child sets on itself.
type Rlimit struct {
	Resource int // RLIMIT_…
	unix.Rlimit
}

// Command says what to start and how.
type Command struct {
	// Executable is the program when it is not nil (execveat(2) with
	// AT_EMPTY_PATH, so no path is looked up); otherwise Path is.
	Executable *os.File
	Path       string
	// Args are the arguments, the program's own name first; Env its
	// environment, KEY=VALUE.
	Args, Env []string
	// Files become the child's descriptors 0, 1, 2 … All others that are not
	// close-on-exec are inherited as they are.
	Files []*os.File
	// Namespaces are CLONE_NEW… flags. CLONE_NEWTIME is not among them: the
	// calling thread unshares that before, to set the offsets.
	Namespaces uint64
	// Cgroup is a directory of the v2 hierarchy that the child starts in
	// (CLONE_INTO_CGROUP, Linux 5.7), or nil.
	Cgroup *os.File
	// Session gives the child a session of its own, Group a process group.
	Session, Group bool
	// Foreground makes the child's new process group that of the terminal at
	// descriptor 0. It takes effect with Group only.
	Foreground bool
	// ParentDeath is the signal that the child gets when the thread that
	// started it ends; 0 for none.
	ParentDeath unix.Signal
	// Rlimits are set last, in order.
	Rlimits []Rlimit
}

// Process is a started child.
type Process struct {
	// PID is the child's process id in the caller's PID namespace.
	PID   int
	pidfd *os.File
}

// StepError says at which step between clone and execve the child failed.
// errors.Is finds the errno.
type StepError struct {
	Step  string
	Errno unix.Errno
}

func (e *StepError) Error() string { return e.Step + ": " + e.Errno.Error() }

// Unwrap gives the errno.
func (e *StepError) Unwrap() error { return e.Errno }

// IsExec says that everything else went well and the program itself can't be
// executed.
func (e *StepError) IsExec() bool { return e.Step == stepName(stepExec) }

// firstFree is where the parent's own descriptors for the child start, so that
// giving the child its 0, 1, 2 … can't overwrite one that is still needed.
const firstFree = 64

// Start starts the child and returns once it executes its program. The calling
// goroutine is locked to its thread by the caller when ParentDeath is set: the
// signal comes when that thread ends.
func Start(c Command) (*Process, error) {
	if len(c.Files) > maxFiles || len(c.Rlimits) > maxRlimits {
		return nil, fmt.Errorf("start process: %d descriptors and %d limits are more than %d and %d",
			len(c.Files), len(c.Rlimits), maxFiles, maxRlimits)
	}
	p, release, err := prepare(c)
	defer release()
	if err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	report := make([]int, 2)
	if err := unix.Pipe2(report, unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("start process: pipe: %w", err)
	}
	reader := os.NewFile(uintptr(report[0]), "spawn report")
	defer func() { _ = reader.Close() }()
	high, err := unix.FcntlInt(uintptr(report[1]), unix.F_DUPFD_CLOEXEC, firstFree)
	_ = unix.Close(report[1])
	if err != nil {
		return nil, fmt.Errorf("start process: pipe: %w", err)
	}
	p.report = uintptr(high)

	pid, errno := locked(p)
	_ = unix.Close(high)
	goruntime.KeepAlive(c)
	if errno != 0 {
		return nil, fmt.Errorf("start process: clone: %w", errno)
	}
	started := &Process{PID: int(pid), pidfd: os.NewFile(uintptr(p.pidfd), "pidfd")}

	var failure [16]byte
	n, err := io.ReadFull(reader, failure[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return started, nil // the pipe closed with execve
	}
	// The child is about to exit, or it was killed half-way through a write.
	_ = started.Signal(unix.SIGKILL)
	_, _ = started.Wait()
	_ = started.Close()
	if err != nil {
		return nil, fmt.Errorf("start process: report of the child: %w", err)
	}
	step := binary.NativeEndian.Uint64(failure[:8])
	return nil, &StepError{stepName(step), unix.Errno(binary.NativeEndian.Uint64(failure[8:]))}
}

// locked forks with every signal blocked. ForkLock keeps the descriptors that
// other goroutines are just making close-on-exec from reaching the child.
func locked(p *plan) (pid uintptr, errno unix.Errno) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, errnoOf(err)
	}
	pid, errno = fork(p)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil && errno == 0 {
		// Can't be: the mask is one that the kernel gave us.
		panic(fmt.Sprintf("spawn: restore the signal mask: %v", err))
	}
	return pid, errno
}

func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

// Pidfd is the process's descriptor (pidfd_open(2)); it stays the Process's.
func (p *Process) Pidfd() *os.File { return p.pidfd }

// Signal sends sig to the process. It can't reach another one, however late:
// ESRCH when it has ended, also after Close.
func (p *Process) Signal(sig unix.Signal) error {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return unix.ESRCH
	}
	sendErr := error(unix.ESRCH)
	// Control keeps the number ours meanwhile, whoever closes it.
	_ = conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	return sendErr
}

// Wait waits until the process has ended and reaps it. Once only.
func (p *Process) Wait() (unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.PID, &status, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, err
		}
	}
}

// Close drops the process's descriptor.
func (p *Process) Close() error { return p.pidfd.Close() }
