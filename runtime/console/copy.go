// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// bufferSize is at most PIPE_BUF, so that a pipe that poll(2) calls writable
// takes all of it without blocking.
const bufferSize = 4096

// stopper is a pipe whose read end becomes readable for good, end of file, when
// it is closed.
type stopper struct {
	read, write int
	once        sync.Once
}

func newStopper() (*stopper, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	return &stopper{read: p[0], write: p[1]}, nil
}

func (w *stopper) close() { w.once.Do(func() { _ = unix.Close(w.write) }) }

func (w *stopper) release() {
	w.close()
	_ = unix.Close(w.read)
}

// wait blocks until fd is ready for events (or broken, which the next call on
// it tells) and reports false when w was closed first.
func (w *stopper) wait(fd int, events int16) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(w.read), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || fds[1].Revents != 0:
			return false
		case fds[0].Revents != 0:
			return true
		}
	}
}

// copyIn copies stdin to the container until either ends or the session does.
func (s *Session) copyIn(stdin int) {
	buffer := make([]byte, bufferSize)
	for s.stop.wait(stdin, unix.POLLIN) {
		n, err := unix.Read(stdin, buffer)
		switch {
		case again(err):
			continue
		case err != nil || n == 0:
			return // end of file, or the terminal hung up
		}
		for rest := buffer[:n]; len(rest) > 0; {
			// The container may not be reading; then neither do we.
			if !s.stop.wait(s.master, unix.POLLOUT) {
				return
			}
			n, err := unix.Write(s.master, rest)
			if err != nil && !again(err) {
				return
			}
			rest = rest[max(n, 0):]
		}
	}
}

// copyOut copies the container's output until every process has closed its
// terminal, which read(2) tells with EIO, or the session is abandoned. When
// stdout fails, the rest is read and dropped, or the container would block; the
// error comes in the end, but for a closed pipe, which is the reader's choice.
func (s *Session) copyOut(stdout int) error {
	buffer := make([]byte, bufferSize)
	var failed error
	for s.abandon.wait(s.master, unix.POLLIN) {
		n, err := unix.Read(s.master, buffer)
		switch {
		case again(err):
			continue
		case err != nil || n == 0:
			return failed
		}
		for rest := buffer[:n]; len(rest) > 0 && failed == nil; {
			if !s.abandon.wait(stdout, unix.POLLOUT) {
				return nil
			}
			n, err := unix.Write(stdout, rest)
			switch {
			case errors.Is(err, unix.EPIPE):
				s.discard(buffer)
				return nil
			case err != nil && !again(err):
				failed = fmt.Errorf("terminal: write %s: %w", s.out.Name(), err)
			default:
				rest = rest[max(n, 0):]
			}
		}
	}
	return failed
}

// discard reads the container's output and drops it.
func (s *Session) discard(buffer []byte) {
	for s.abandon.wait(s.master, unix.POLLIN) {
		if n, err := unix.Read(s.master, buffer); !again(err) && (err != nil || n == 0) {
			return
		}
	}
}

func again(err error) bool {
	return errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN)
}
