// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// large is more than any file here has, for one read of the whole.
const large = 1 << 20

// sizes are the read sizes that passes are made with.
func sizes() []int { return []int{1, 7, 128, 4096, 65536} }

// open opens for reading, by raw calls: what a check does is what it says, and
// os.File's poller keeps out of it.
func open(path string) (int, error) {
	fd, err := retryFD(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, fmt.Errorf("open: %w", err)
	}
	return fd, nil
}

// withOpen runs do with path open.
func withOpen(path string, do func(fd int) error) error {
	fd, err := open(path)
	if err != nil {
		return err
	}
	return errors.Join(do(fd), unix.Close(fd))
}

// retryFD repeats a call that a signal interrupted.
func retryFD(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// pread is one pread(2).
func pread(fd, size int, offset int64) (string, error) {
	buf := make([]byte, size)
	n, err := retryFD(func() (int, error) { return unix.Pread(fd, buf, offset) })
	if err != nil {
		return "", fmt.Errorf("pread of %d bytes at %d: %w", size, offset, err)
	}
	return string(buf[:n]), nil
}

// pass reads from where fd is to the end, size bytes at a time.
func pass(fd, size int) (string, error) {
	var all strings.Builder
	buf := make([]byte, size)
	for {
		n, err := retryFD(func() (int, error) { return unix.Read(fd, buf) })
		if err != nil {
			return all.String(), fmt.Errorf("read of %d bytes at %d: %w", size, all.Len(), err)
		}
		if n == 0 {
			return all.String(), nil
		}
		all.Write(buf[:n])
	}
}

// passFrom is pass by pread(2), from offset on.
func passFrom(fd, size int, offset int64) (string, error) {
	var all strings.Builder
	for {
		text, err := pread(fd, size, offset)
		if err != nil || text == "" {
			return all.String(), err
		}
		all.WriteString(text)
		offset += int64(len(text))
	}
}

// whole is the file's text, which must not be empty.
func whole(path string) (text string, err error) {
	err = withOpen(path, func(fd int) (err error) {
		text, err = pass(fd, large)
		return err
	})
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	return text, err
}

// shape is what is left of a text without its numbers.
func shape(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789. ", r) {
			return -1
		}
		return r
	}, text)
}

// sameShape compares a text with that of a whole file.
func sameShape(got, want string) error {
	if shape(got) == shape(want) {
		return nil
	}
	return fmt.Errorf("%d bytes of another shape than the file's %d: %s", len(got), len(want), difference(shape(got), shape(want)))
}

// difference shows where two texts part.
func difference(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	around := func(s string) string { return s[max(0, min(len(s), at-20)):min(len(s), at+20)] }
	return fmt.Sprintf("at byte %d there is %q instead of %q", at, around(got), around(want))
}

// How soon a change must be seen, and how late is a failure even on a machine
// that has other things to do.
const (
	soon       = 10 * time.Millisecond
	soonStatic = 20 * time.Millisecond
	tooLate    = 10 * soon
)

// await calls until sees returns true and says how long that took; an error
// when it is later than tooLate.
func await(what string, sees func() (bool, error)) (time.Duration, error) {
	start := time.Now()
	for {
		// The time before the look: a change must be seen by whoever looks then.
		elapsed := time.Since(start)
		seen, err := sees()
		if err != nil || seen {
			return elapsed, err
		}
		if elapsed > tooLate {
			return elapsed, fmt.Errorf("%s isn't seen after %v", what, elapsed)
		}
	}
}
