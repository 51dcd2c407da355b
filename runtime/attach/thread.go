// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// The state of work on a thread that the caller may stop waiting for.
const (
	running int32 = iota
	finished
	abandoned
)

// work is a run of steps in a container's mount namespace, each with its
// undo. Steps and undos run on the thread that entered.
type work struct {
	state atomic.Int32
	undo  []func() error
	held  []io.Closer // closed when all is done or undone
}

// step does one thing unless the caller has given up.
func (w *work) step(do, undo func() error) error {
	if w.state.Load() == abandoned {
		return context.DeadlineExceeded
	}
	if err := do(); err != nil {
		return err
	}
	w.undo = append(w.undo, undo)
	return nil
}

// hold keeps c open to the end of the work.
func (w *work) hold(c io.Closer) { w.held = append(w.held, c) }

// end commits the work or, when it failed or nobody waits for it any more,
// undoes it.
func (w *work) end(err error) error {
	if err == nil && !w.state.CompareAndSwap(running, finished) {
		err = context.DeadlineExceeded
	}
	if err != nil {
		for i := len(w.undo) - 1; i >= 0; i-- {
			if undoErr := w.undo[i](); undoErr != nil {
				err = errors.Join(err, fmt.Errorf("undo: %w", undoErr))
			}
		}
	}
	for _, c := range w.held {
		c.Close()
	}
	return err
}

// inside runs fn in the mount namespace of the process, handing it a copy of
// p that stays valid however long it takes. When fn fails, or ctx ends before
// it is through, its steps are undone; in the latter case inside doesn't wait
// for that, since the thread may be waiting for a server that never answers.
func (p *Process) inside(ctx context.Context, fn func(*Process, *work) error) error {
	own, err := p.dup()
	if err != nil {
		return err
	}
	w := &work{}
	w.hold(own)
	done := make(chan error, 1)
	onOwnThread(func() {
		err := own.enter()
		if err == nil {
			err = fn(own, w)
		}
		done <- w.end(err)
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if !w.state.CompareAndSwap(running, abandoned) {
			return <-done
		}
		return fmt.Errorf("no answer from the container's file systems: %w", ctx.Err())
	}
}

// enter takes the calling thread into the process' mount namespace for good.
func (p *Process) enter() error {
	// Root and working directory are shared with the program's other threads until here.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the thread's file system state: %w", err)
	}
	if err := unix.Setns(int(p.pidfd.Fd()), unix.CLONE_NEWNS); err != nil {
		return p.cause(fmt.Errorf("enter the mount namespace: %w", err))
	}
	return nil
}

// onOwnThread runs fn on a thread that ends with it. The main thread can't end
// and stands for the program in /proc/self, so it is never the one.
func onOwnThread(fn func()) {
	go func() {
		goruntime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// Held here until the goroutine below has locked a thread of its own.
			locked := make(chan struct{})
			go func() {
				goruntime.LockOSThread()
				close(locked)
				fn()
			}()
			<-locked
			goruntime.UnlockOSThread()
			return
		}
		fn()
	}()
}

// dup copies an open file; the copy doesn't care when the original is closed.
func dup(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	goruntime.KeepAlive(f)
	if err != nil {
		return nil, fmt.Errorf("duplicate a descriptor: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
