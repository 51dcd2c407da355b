// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// refusal is one attempt at changing something.
type refusal struct {
	what string
	try  func() error
}

// refused makes all attempts and says which of them weren't answered with
// EROFS.
func refused(attempts []refusal) error {
	var wrong error
	for _, a := range attempts {
		if err := a.try(); !errors.Is(err, unix.EROFS) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w, want EROFS", a.what, errorOrNone(err)))
		}
	}
	return wrong
}

// errNone stands for an attempt that was not refused at all.
var errNone = errors.New("no error")

func errorOrNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// refusesWriting: no way of opening that could lead to a write.
func refusesWriting(s *Subject, file string) error {
	var attempts []refusal
	for name, flags := range map[string]int{
		"O_WRONLY": unix.O_WRONLY, "O_RDWR": unix.O_RDWR, "O_WRONLY|O_APPEND": unix.O_WRONLY | unix.O_APPEND,
		"O_WRONLY|O_TRUNC": unix.O_WRONLY | unix.O_TRUNC, "O_RDWR|O_CREAT": unix.O_RDWR | unix.O_CREAT,
		"O_RDONLY|O_TRUNC": unix.O_RDONLY | unix.O_TRUNC,
	} {
		attempts = append(attempts, refusal{"open " + name, func() error {
			fd, err := retryFD(func() (int, error) { return unix.Open(s.path(file), flags|unix.O_CLOEXEC, 0o600) })
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		}})
	}
	attempts = append(attempts, refusal{"truncate", func() error { return unix.Truncate(s.path(file), 0) }})
	return refused(attempts)
}

// refusesChanges: modes, owners, times and extended attributes stay.
func refusesChanges(s *Subject, file string) error {
	at := s.path(file)
	return errors.Join(refused([]refusal{
		{"chmod", func() error { return unix.Chmod(at, 0o777) }},
		{"chown", func() error { return unix.Chown(at, 1, 1) }},
		{"utimes", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, at, nil, 0) }},
		{"setxattr", func() error { return unix.Setxattr(at, "user.test", []byte("1"), 0) }},
		{"setxattr of a security label", func() error { return unix.Setxattr(at, "security.test", []byte("1"), 0) }},
		{"removexattr", func() error { return unix.Removexattr(at, "user.test") }},
	}), withOpen(at, func(fd int) error {
		return refused([]refusal{
			{"fchmod", func() error { return unix.Fchmod(fd, 0o777) }},
			{"fsetxattr", func() error { return unix.Fsetxattr(fd, "user.test", []byte("1"), 0) }},
		})
	}))
}

// refusesEntries: nothing is made, renamed or removed.
func refusesEntries(s *Subject, file string) error {
	at := s.path(file)
	other := at + ".new"
	return refused([]refusal{
		{"creat", func() error { return withCreated(other) }},
		{"mkdir", func() error { return unix.Mkdir(other, 0o700) }},
		{"mknod", func() error { return unix.Mknod(other, unix.S_IFIFO|0o600, 0) }},
		{"symlink", func() error { return unix.Symlink("x", other) }},
		{"link", func() error { return unix.Link(at, other) }},
		{"rename", func() error { return unix.Rename(at, other) }},
		{"unlink", func() error { return unix.Unlink(at) }},
	})
}

// withCreated makes a new file.
func withCreated(path string) error {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	})
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}
