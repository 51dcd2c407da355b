// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// ErrNotTerminal tells that stdin is no terminal.
var ErrNotTerminal = errors.New("not a terminal")

// drain bounds how long Close waits for the rest of the output. A container
// that has ended has closed its terminal, and the rest is there at once.
const drain = time.Second

// RequireTerminal reports, as [ErrNotTerminal], that stdin can't give a
// container a terminal's keys. nil, no stdin, is fine.
func RequireTerminal(stdin *os.File) error {
	if stdin == nil {
		return nil
	}
	if _, err := console.ConsoleFromFile(stdin); err != nil {
		return fmt.Errorf("%s: %w (leave --tty or --interactive out)", stdin.Name(), ErrNotTerminal)
	}
	return nil
}

// Session is a connection between the caller's terminal and a container's.
type Session struct {
	master int // a duplicate, non-blocking
	out    *os.File
	// keys is the caller's terminal if it is in raw mode for us, window the one
	// whose size counts; each may be nil.
	keys   console.Console
	window console.Console

	signals chan os.Signal
	stop    *stopper      // ends copying in
	abandon *stopper      // ends copying out
	copied  chan error    // one value, when copying out has ended
	done    chan struct{} // closed when copying in has ended
	watched chan struct{} // closed when watching signals has ended

	once sync.Once
	err  error
}

// Attach puts the caller's terminal in raw mode, gives the container's the same
// size, and starts copying. stdin may be nil and either may be something else
// than a terminal. master stays the caller's to close; it becomes non-blocking.
// Close must be called on every path, since it restores the terminal; if Attach
// fails, it has done so itself.
func Attach(master, stdin, stdout *os.File) (*Session, error) {
	s := &Session{
		out:     stdout,
		signals: make(chan os.Signal, 8),
		copied:  make(chan error, 1),
		done:    make(chan struct{}),
		watched: make(chan struct{}),
	}
	var err error
	if s.master, err = duplicate(master); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if s.stop, err = newStopper(); err == nil {
		s.abandon, err = newStopper()
	}
	if err != nil {
		s.release()
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if stdin != nil {
		if c, err := console.ConsoleFromFile(stdin); err == nil {
			s.keys, s.window = c, c
		}
	}
	if s.window == nil {
		if c, err := console.ConsoleFromFile(stdout); err == nil {
			s.window = c
		}
	}
	s.resize()
	if err := s.raw(); err != nil {
		_ = s.restore() // the error that is returned is the reason
		s.release()
		return nil, fmt.Errorf("terminal: raw mode: %w", err)
	}

	signal.Notify(s.signals, unix.SIGWINCH, unix.SIGCONT)
	go s.watch()
	go func() {
		defer close(s.done)
		if stdin != nil {
			s.copyIn(int(stdin.Fd()))
		}
	}()
	go func() { s.copied <- s.copyOut(int(stdout.Fd())) }()
	return s, nil
}

// Close copies the rest of the output, at most for a second, ends copying and
// restores the terminal. It may be called several times and says each time what
// the first call said: why output could not be written, or the terminal not be
// restored.
func (s *Session) Close() error {
	s.once.Do(func() {
		s.stop.close()
		<-s.done
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case s.err = <-s.copied:
		case <-timer.C:
			// Something holds the container's terminal open that isn't in the
			// container any more, or nobody takes our output.
			s.abandon.close()
			s.err = <-s.copied
		}
		signal.Stop(s.signals)
		close(s.signals)
		<-s.watched
		if err := s.restore(); err != nil && s.err == nil {
			s.err = fmt.Errorf("terminal: restore: %w", err)
		}
		s.release()
	})
	return s.err
}

// watch follows the window size, and takes raw mode back after a stop.
func (s *Session) watch() {
	defer close(s.watched)
	for sig := range s.signals {
		if sig == unix.SIGCONT {
			_ = s.raw() // tried again at the next one; the session works without
		}
		s.resize()
	}
}

// resize gives the container's terminal the size of the caller's. A terminal of
// size 0 (a serial line, some CI systems) knows no better.
func (s *Session) resize() {
	if s.window == nil {
		return
	}
	size, err := s.window.Size()
	if err != nil || size.Width == 0 || size.Height == 0 {
		return
	}
	_ = unix.IoctlSetWinsize(s.master, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
}

// raw puts the caller's terminal in raw mode, output processing included: the
// container's terminal has made CR LF of a line's end already.
func (s *Session) raw() error {
	if s.keys == nil || !foreground(s.keys) {
		return nil
	}
	if err := s.keys.SetRaw(); err != nil {
		return err
	}
	fd := int(s.keys.Fd())
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	mode.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(fd, unix.TCSETS, mode)
}

// restore gives the caller's terminal back the mode that it had. One that is
// gone, a hang-up, has none.
func (s *Session) restore() error {
	if s.keys == nil || !foreground(s.keys) {
		return nil
	}
	err := s.keys.Reset()
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOTTY) {
		return nil
	}
	return err
}

// foreground reports whether we may change the terminal's mode without being
// stopped. On one that isn't our controlling terminal that is always so.
func foreground(c console.Console) bool {
	group, err := unix.IoctlGetInt(int(c.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// release closes the descriptors.
func (s *Session) release() {
	_ = unix.Close(s.master)
	for _, w := range []*stopper{s.stop, s.abandon} {
		if w != nil {
			w.release()
		}
	}
}

// duplicate returns a descriptor of f that doesn't block.
func duplicate(f *os.File) (int, error) {
	// Fd may switch f to blocking, so its own descriptor isn't used.
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, dupErr
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
