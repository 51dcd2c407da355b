// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxText bounds what is read of one file of the host; cpuinfo has some
// 1.5 kB for each CPU, of which Linux knows at most 8192.
const maxText = 64 << 20

// A file is a file of the host below /proc or /sys that is opened once and
// then read over and over: the kernel renders it anew at offset 0. Kept open,
// it stays the host's when something is mounted over its path.
type file struct {
	path string
	file atomic.Pointer[os.File]
}

// open opens the file unless it is open.
func (f *file) open() (*os.File, error) {
	if file := f.file.Load(); file != nil {
		return file, nil
	}
	// Not os.Open: that makes the descriptor non-blocking and adds it to the
	// poller, which procfs has nothing to gain from.
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, &os.PathError{Op: "open", Path: f.path, Err: err})
	}
	file := os.NewFile(uintptr(fd), f.path)
	if !f.file.CompareAndSwap(nil, file) {
		_ = file.Close() // another goroutine was faster; nothing was done with ours
	}
	return f.file.Load(), nil
}

// read returns the whole text, in memory if that has room for it.
func (f *file) read(memory []byte) ([]byte, error) {
	file, err := f.open()
	if err != nil {
		return nil, err
	}
	text := memory[:0]
	if cap(text) == 0 {
		text = make([]byte, 0, 4096)
	}
	for len(text) < maxText {
		n, err := file.ReadAt(text[len(text):cap(text)], int64(len(text)))
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			if errors.Is(err, unix.ENODEV) {
				// What the file told of was taken out of the machine, and may come
				// back in another file of this name.
				err = errors.Join(err, f.close())
			}
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		case len(text) == cap(text):
			text = slices.Grow(text, cap(text))
		}
	}
	return nil, fmt.Errorf("%w: %s: longer than %d bytes", ErrUnreadable, f.path, maxText)
}

// close closes the file if it is open.
func (f *file) close() error {
	if file := f.file.Swap(nil); file != nil {
		return file.Close()
	}
	return nil
}
