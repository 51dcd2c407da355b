// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxHostText bounds what is read of one file of the host; cpuinfo has some
// 1.5 kB for each CPU, of which Linux knows at most 8192.
const maxHostText = 64 << 20

// A hostFile is a file of the host below /proc or /sys that is opened once and
// then read over and over: the kernel renders it anew at offset 0. Kept open,
// it stays the host's when something is mounted over its path.
type hostFile struct {
	path string
	file atomic.Pointer[os.File]
}

// open opens the file unless it is open.
func (f *hostFile) open() (*os.File, error) {
	if file := f.file.Load(); file != nil {
		return file, nil
	}
	// Not os.Open: that makes the descriptor non-blocking and adds it to the
	// poller, which procfs has nothing to gain from.
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHostFile, &os.PathError{Op: "open", Path: f.path, Err: err})
	}
	file := os.NewFile(uintptr(fd), f.path)
	if !f.file.CompareAndSwap(nil, file) {
		_ = file.Close() // another goroutine was faster; nothing was done with ours
	}
	return f.file.Load(), nil
}

// read returns the whole text.
func (f *hostFile) read() ([]byte, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, 4096)
	for len(text) < maxHostText {
		n, err := file.ReadAt(text[len(text):cap(text)], int64(len(text)))
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errHostFile, err)
		case len(text) == cap(text):
			text = slices.Grow(text, cap(text))
		}
	}
	return nil, fmt.Errorf("%w: %s: longer than %d bytes", errHostFile, f.path, maxHostText)
}

// readOnce returns the whole text and leaves the file closed.
func (f *hostFile) readOnce() ([]byte, error) {
	text, err := f.read()
	return text, errors.Join(err, f.close())
}

// close closes the file if it is open.
func (f *hostFile) close() error {
	if file := f.file.Swap(nil); file != nil {
		return file.Close()
	}
	return nil
}

// A cached keeps what was made of host files for a while, for all containers.
// Readers that find it too old each make a new one: nobody waits for anybody.
type cached[T any] struct {
	maxAge time.Duration
	now    func() time.Time
	last   atomic.Pointer[dated[T]]
}

// dated is a value and when its making began.
type dated[T any] struct {
	value T
	at    time.Time
}

// get returns a value no older than maxAge that fits, making one if need be.
func (c *cached[T]) get(fits func(T) bool, renew func() (T, error)) (T, error) {
	now := c.now()
	if d := c.last.Load(); d != nil && fits(d.value) {
		if age := now.Sub(d.at); age >= 0 && age <= c.maxAge {
			return d.value, nil
		}
	}
	value, err := renew()
	if err == nil {
		c.last.Store(&dated[T]{value, now})
	}
	return value, err
}

// always is the fits of values that only age.
func always[T any](T) bool { return true }

// number reads a file that holds one decimal number, as those below /proc/sys
// do.
func (f *hostFile) number() (uint64, error) {
	text, err := f.read()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", errHostFile, f.path, err)
	}
	return n, nil
}
