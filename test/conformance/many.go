// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// openMany opens a file n times.
func openMany(path string, n int) (fds []int, err error) {
	for range n {
		fd, err := open(path)
		if err != nil {
			return fds, fmt.Errorf("after %d: %w", len(fds), err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// many is n, or less on a slow machine.
func (s *Subject) many(n int) int {
	if s.Slow {
		return n / 10
	}
	return n
}

// closeAll closes descriptors.
func closeAll(fds []int) error {
	var failed error
	for _, fd := range fds {
		failed = errors.Join(failed, unix.Close(fd))
	}
	return failed
}

// manyOpen: descriptors that nobody closes, of which each still works.
func manyOpen(s *Subject, file string) (failed error) {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	fds, err := openMany(s.path(file), s.many(10_000))
	defer func() { failed = errors.Join(failed, closeAll(fds)) }()
	if err != nil {
		return err
	}
	for i := 0; i < len(fds); i += 97 {
		got, err := passFrom(fds[i], 4096, 0)
		if err != nil {
			return fmt.Errorf("descriptor %d of %d: %w", i, len(fds), err)
		}
		if err := sameShape(got, want); err != nil {
			return fmt.Errorf("descriptor %d of %d: %w", i, len(fds), err)
		}
	}
	return nil
}

// manyHeld: more passes begun than a server keeps snapshots for. Each goes on
// with its own text or fails with EIO; begun anew at 0, each works.
func manyHeld(s *Subject, file string) (failed error) {
	fds, err := openMany(s.path(file), max(600, s.many(1000)))
	defer func() { failed = errors.Join(failed, closeAll(fds)) }()
	if err != nil {
		return err
	}
	begun := make([]string, len(fds))
	for i, fd := range fds {
		if begun[i], err = pread(fd, large, 0); err != nil {
			return err
		}
		if i%100 == 0 {
			if err := s.change(file); err != nil {
				return err
			}
		}
	}
	for i, fd := range fds {
		rest, err := passFrom(fd, 4096, 1)
		if err != nil && !errors.Is(err, unix.EIO) {
			return fmt.Errorf("pass %d of %d: %w, want its text or EIO", i, len(fds), err)
		}
		if err == nil && rest != begun[i][1:] {
			return fmt.Errorf("pass %d of %d goes on with another text: %s", i, len(fds), difference(rest, begun[i][1:]))
		}
		if again, err := pread(fd, large, 0); err != nil || again == "" {
			return fmt.Errorf("pass %d of %d can't begin anew: %q, %w", i, len(fds), again, err)
		}
	}
	return nil
}
