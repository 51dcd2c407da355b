// SPDX-License-Identifier: Apache-2.0

package lxcfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// LockPidfile writes this process' PID to the file at path, which is made if it
// is missing, and locks it as LXCFS does (fcntl(2), F_SETLK): where an LXCFS has
// it, or another of us, it fails. release removes the file.
func LockPidfile(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		err = errors.New("an LXCFS runs that has locked it; stop it, or name another file with --pidfile")
	case err == nil:
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pidfile: %s: %w", path, err), f.Close())
	}
	return func() error {
		// First the name, while the lock still keeps others from it. An LXCFS that
		// was refused the lock has removed it already.
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, f.Close())
	}, nil
}
