// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// chunk is what one read(2) asks for, as much as cat(1) does.
	chunk = 128 << 10
	// largest is the longest content that is read: cpuinfo of a thousand CPUs
	// has 1.5 MB.
	largest = 4 << 20
)

// reader reads files on one thread and keeps what it learnt.
type reader struct {
	rows  []Row
	paths []*byte // NUL-terminated, one per row
	buf   []byte
	stats []sample // one per row
}

// sample is what one reader learnt of one row.
type sample struct {
	times  histogram
	errors uint64
	first  error // the first of them
}

func newReader(rows []Row) (*reader, error) {
	r := &reader{rows: rows, buf: make([]byte, chunk), stats: make([]sample, len(rows))}
	for _, row := range rows {
		path, err := unix.BytePtrFromString(row.Path)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", row.Path, err)
		}
		r.paths = append(r.paths, path)
	}
	return r, nil
}

// read reads a row's file once, checks it, and, if counted, keeps the time.
// Errors are always kept.
func (r *reader) read(row int, counted bool) {
	s := &r.stats[row]
	start := time.Now()
	n, step, err := r.transfer(r.paths[row])
	took := time.Since(start)
	if err == nil {
		check := r.rows[row].Check
		if check == nil {
			check = notEmpty
		}
		step, err = "content", check(r.buf[:n])
	}
	switch {
	case err != nil:
		s.errors++
		if s.first == nil {
			s.first = fmt.Errorf("%s: %s: %w", r.rows[row].Path, step, err)
		}
	case counted:
		s.times.add(took)
	}
}

// transfer opens a file, reads it to its end into r.buf and closes it; it
// gives the content's length, or which step failed and why. It allocates only
// when a file is longer than all before. It calls openat(2) by itself since
// unix.Open copies the path to the heap each time.
func (r *reader) transfer(path *byte) (n int, step string, err error) {
	cwd := unix.AT_FDCWD
	var fd int
	for {
		got, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno == 0 {
			fd = int(got)
			break
		}
		if errno != unix.EINTR {
			return 0, "open", errno
		}
	}
	for {
		if len(r.buf)-n < chunk {
			if len(r.buf) >= largest {
				step, err = "read", unix.EFBIG
				break
			}
			r.buf = append(r.buf, make([]byte, max(len(r.buf), chunk))...)
		}
		got, readErr := unix.Read(fd, r.buf[n:n+chunk])
		if readErr == unix.EINTR {
			continue
		}
		if readErr != nil {
			step, err = "read", readErr
			break
		}
		if got == 0 {
			break
		}
		n += got
	}
	if closeErr := unix.Close(fd); closeErr != nil && err == nil {
		step, err = "close", closeErr
	}
	return n, step, err
}
