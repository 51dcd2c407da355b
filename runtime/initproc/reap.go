// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
)

const (
	// reapArgument tells init that it is to be the container's PID 1 for good.
	reapArgument = "reap"
	// orderFD is where it finds its reapOrder.
	orderFD = SocketFD + 1
	// signalBase is what a shell adds to the number of the signal that killed.
	signalBase = 128
)

// reapOrder is what the reaper is to start.
type reapOrder struct {
	Path    string         `json:"path"`
	Args    []string       `json:"args"`
	Env     []string       `json:"env"`
	Rlimits []spawn.Rlimit `json:"rlimits,omitempty"`
	// Tty says that descriptor 0 is the session's terminal.
	Tty bool `json:"tty,omitempty"`
}

// file puts the order into a memory file, since arguments are everybody's to
// read and an environment may hold secrets.
func (o reapOrder) file() (*os.File, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("procfs-shim-order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "order")
	if _, err := f.Write(text); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func readOrder(f *os.File) (reapOrder, error) {
	var o reapOrder
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return o, err
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return o, err
	}
	err = json.Unmarshal(text, &o)
	return o, err
}

// execveat executes the program behind f, keeping the thread's environment of
// descriptors and rights.
func execveat(f *os.File, args, env []string) error {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	var empty [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, f.Fd(), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}

// reapMain is the reaper. It returns the status to end with.
func reapMain() int {
	unix.CloseOnExec(SocketFD)
	unix.CloseOnExec(orderFD)
	conn := NewConn(os.NewFile(SocketFD, "parent"))
	// Before there is a child, so that no signal is lost.
	signals := make(chan os.Signal, 64)
	children := make(chan os.Signal, 1)
	signal.Notify(signals)
	signal.Notify(children, unix.SIGCHLD)
	child, err := startOrdered()
	if err != nil {
		_ = conn.Send(Message{Kind: KindFailed, Failure: failure(err)}) // else the parent is dead, and so are we
		return exitFailure
	}
	_ = conn.Close() // the command runs
	for {
		select {
		case <-children:
			if status, ended := reap(child.PID); ended {
				return ExitStatus(status)
			}
		case s := <-signals:
			if sig, ok := s.(unix.Signal); ok && Forwarded(sig) {
				_ = child.Signal(sig) // ESRCH: it has ended, which comes through the other channel
			}
		}
	}
}

func startOrdered() (*spawn.Process, error) {
	order, err := readOrder(os.NewFile(orderFD, "order"))
	if err != nil {
		return nil, fmt.Errorf("init: read what to execute: %w", err)
	}
	child, err := spawn.Start(spawn.Command{
		Path:  order.Path,
		Args:  order.Args,
		Env:   order.Env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		// A group of its own: what the terminal sends reaches the command
		// once, not a second time through us.
		Group:      true,
		Foreground: order.Tty,
		Rlimits:    order.Rlimits,
	})
	var step *spawn.StepError
	switch {
	case err == nil:
		return child, nil
	case errors.As(err, &step) && step.IsExec():
		return nil, execError{fmt.Errorf("%s: %w", order.Args[0], step.Errno)}
	default:
		return nil, fmt.Errorf("init: %w", err)
	}
}

// reap collects every child that has ended, and the status of the one with
// this PID if it is among them.
func reap(pid int) (status unix.WaitStatus, ended bool) {
	for {
		var s unix.WaitStatus
		got, err := unix.Wait4(-1, &s, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || got == 0:
			return status, ended
		case got == pid:
			status, ended = s, true
		}
	}
}

// ExitStatus is what a shell would say of a process that ended like this:
// its own status, or 128 plus the signal that killed it.
func ExitStatus(s unix.WaitStatus) int {
	if s.Signaled() {
		return signalBase + int(s.Signal())
	}
	return s.ExitStatus()
}

// Forwarded says whether a signal to the program is meant for the container:
// all but SIGCHLD, which tells of our own children, and SIGURG, by which Go
// interrupts its threads.
func Forwarded(s unix.Signal) bool { return s != unix.SIGCHLD && s != unix.SIGURG }
