// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// response is struct seccomp_notif_resp, <linux/seccomp.h>.
type response struct {
	ID    uint64
	Value int64
	Error int32 // a negative errno
	Flags uint32
}

// goOn is SECCOMP_USER_NOTIF_FLAG_CONTINUE: the kernel executes the call.
const goOn = 1

// What SECCOMP_IOCTL_NOTIF_ID_VALID is: _IOW('!', 2, __u64).
const ioctlValid = 0x40082102

// tick is how often the notifier looks whether its context or a deadline has
// ended while no call arrives.
const tick = 50 * time.Millisecond

// notifier answers the calls of one run, one after the other.
type notifier struct {
	listener *os.File
	root     int // a pidfd
	pid      int // the root process's
	plan     Plan
	calls    []call
	report   Report
	err      error
}

// serve answers until every process under the filter has ended. ended gives the
// root process's end.
func (n *notifier) serve(ctx context.Context, ended <-chan struct{}) {
	fd := int(n.listener.Fd())
	var deadline <-chan time.Time
	done := ctx.Done()
	rooted := true // the root process is not reaped yet
	var end time.Time
	defer func() {
		if !end.IsZero() {
			n.report.Outlived = time.Since(end)
		}
	}()
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, int(tick/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			n.fail(fmt.Errorf("inject: poll the listener: %w", err))
			n.kill()
			if rooted {
				<-ended
			}
			return
		}
		if poll[0].Revents&unix.POLLIN != 0 {
			n.answer(fd)
		}
		select {
		case <-ended:
			rooted, deadline, ended = false, time.After(n.plan.Linger), nil
			end = time.Now()
		case <-done:
			n.fail(fmt.Errorf("inject: %w", ctx.Err()))
			n.kill()
			done = nil
		case <-deadline:
			n.report.Lingering = true
			return
		default:
		}
		// Nobody is left under the filter; the root process's end may still
		// have to be fetched.
		if poll[0].Revents&unix.POLLHUP != 0 && poll[0].Revents&unix.POLLIN == 0 {
			if rooted {
				<-ended
			}
			return
		}
	}
}

func (n *notifier) fail(err error) { n.err = errors.Join(n.err, err) }

// kill ends the root process and waits until its last thread is gone, so that
// what others do next comes after its death.
func (n *notifier) kill() {
	if err := unix.PidfdSendSignal(n.root, unix.SIGKILL, nil, 0); err != nil {
		if !errors.Is(err, unix.ESRCH) {
			n.fail(fmt.Errorf("inject: kill %d: %w", n.pid, err))
		}
		return
	}
	// A process that waits for one of its children to execute (vfork) dies only
	// after that child's next step, which may be the call we hold.
	poll := []unix.PollFd{{Fd: int32(n.root), Events: unix.POLLIN}}
	if _, err := unix.Poll(poll, int(time.Second/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
		n.fail(fmt.Errorf("inject: wait for the death of %d: %w", n.pid, err))
	}
}

// answer takes one notification and says what becomes of the call.
func (n *notifier) answer(fd int) {
	var got notification
	if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&got)); err != nil {
		// ENOENT: the thread died between poll and here.
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINTR) {
			n.fail(fmt.Errorf("inject: receive a notification: %w", err))
		}
		return
	}
	reply := response{ID: got.ID, Flags: goOn}
	counted, acted := n.judge(fd, got, &reply)
	err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&reply))
	switch {
	case err == nil:
	case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINPROGRESS):
		n.fail(fmt.Errorf("inject: answer a notification: %w", err))
	case counted && !acted:
		// The thread no longer waits: it was killed, or on a kernel before 5.19
		// a signal interrupted it and it will make the call again.
		n.report.Calls = n.report.Calls[:len(n.report.Calls)-1]
	}
}

// judge counts a call and fills in the reply. acted says that it was the one.
func (n *notifier) judge(fd int, got notification, reply *response) (counted, acted bool) {
	at := slices.IndexFunc(n.calls, func(c call) bool { return c.number == uintptr(got.Number) })
	if at < 0 {
		n.fail(fmt.Errorf("inject: the filter asked about system call %d", got.Number))
		return false, false
	}
	c, from := n.calls[at], tracee(got.TID)
	if !from.counts(c, got.Arguments) {
		return false, false
	}
	pid, command := from.process()
	made := Call{
		N: n.report.Total() + 1, Kind: c.kind, Name: c.name, What: from.describe(c, got.Arguments),
		TID: int(got.TID), PID: pid, Command: command, Root: pid == n.pid,
	}
	// What was read is the tracee's only if it still waits.
	if err := ioctl(fd, ioctlValid, unsafe.Pointer(&got.ID)); err != nil {
		return false, false
	}
	n.report.Calls = append(n.report.Calls, made)
	if made.N != n.plan.At || n.report.Hit {
		return true, false
	}
	n.report.Hit = true
	switch {
	case n.plan.Action.kill:
		n.kill()
	case n.plan.Action.errno != 0:
		reply.Flags, reply.Error = 0, -int32(n.plan.Action.errno)
	}
	return true, true
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
