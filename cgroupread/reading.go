// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reading is one pass over a branch's files: it remembers whether one was
// missing, and the first error. It comes from a pool with its memory, so that a
// warm pass allocates nothing.
type reading struct {
	b      *branch
	record *Record // or nil
	missed bool
	err    error

	buf  []byte // a file's text
	path []byte // what is opened, with a NUL behind it
}

// readingPool keeps readings for their memory.
type readingPool struct{ pool sync.Pool }

// memory.stat has 1.5 to 3 kB, most other files less than 100 bytes.
const bufferSize = 8 << 10

// maxFile is far above what any interface file holds, threads apart; it bounds
// memory should one misbehave.
const maxFile = 1 << 20

func (p *readingPool) get(b *branch, record *Record) *reading {
	r, ok := p.pool.Get().(*reading)
	if !ok {
		r = &reading{buf: make([]byte, bufferSize)}
	}
	r.b, r.record, r.missed, r.err = b, record, false, nil
	return r
}

// put takes a reading back, unless a file of unusual length made it grow.
func (p *readingPool) put(r *reading) {
	if len(r.buf) <= 4*bufferSize {
		r.b, r.record, r.err = nil, nil, nil
		p.pool.Put(r)
	}
}

// text is the text of an interface file that the kernel makes in one piece,
// valid until the next call; nil if it isn't there or an error came before.
func (r *reading) text(l *level, name string) []byte { return r.read(l, name, false) }

// long is text for a file that the kernel makes record by record.
func (r *reading) long(l *level, name string) []byte { return r.read(l, name, true) }

func (r *reading) read(l *level, name string, records bool) []byte {
	if r.err != nil {
		return nil
	}
	text, err := r.load(l.up, name, records)
	switch {
	case isMissing(err):
		r.missed = true
	case err != nil:
		r.err = fmt.Errorf("read cgroup: %s: %w", r.b.file(l, name), err)
		return nil
	}
	r.record.add(r.b, l, name, text)
	return text
}

// isMissing says that there is no such interface file here. ENODEV: it was
// removed between open and read, with its cgroup or because its controller was
// turned off. EOPNOTSUPP: pressure isn't measured on this kernel (psi=0).
func isMissing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP)
}

// fail keeps a parser's error, with the file's path.
func (r *reading) fail(l *level, name string, err error) {
	if err != nil && r.err == nil {
		r.err = atPath(err, r.b.file(l, name))
	}
}

// result is the error of the whole pass. A gone cgroup explains every other
// error and every missing file, so it comes first.
func (r *reading) result() error {
	if r.missed || r.err != nil {
		if err := r.gone(); err != nil {
			return err
		}
	}
	return r.err
}

// gone is ErrGone if level 0 was removed. It is asked after a file was found
// missing: if the directory is still there, it was there then too, and only the
// file is missing.
func (r *reading) gone() error {
	// Every cgroup has this one for as long as it lives, in v1 and v2.
	if r.exists("cgroup.procs") {
		return nil
	}
	// Belt and braces, and trees that are no cgroupfs: the name still leads to
	// the directory that we hold.
	var st unix.Stat_t
	if err := unix.Stat(r.b.dir, &st); err == nil && st.Ino == r.b.ino {
		return nil
	}
	return fmt.Errorf("read cgroup: %s: %w", r.b.dir, ErrGone)
}

// load reads a whole file, and returns its text, part of r.buf. The error is a
// bare errno, or errTooLong beside the first 1 MiB.
func (r *reading) load(up, name string, records bool) ([]byte, error) {
	fd, err := r.openat(up, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for {
		if n == len(r.buf) {
			if n >= maxFile {
				return r.buf[:n], errTooLong
			}
			r.buf = append(r.buf, make([]byte, max(n, 1024))...)
		}
		got, err := unix.Pread(fd, r.buf[n:], int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n += got
		// Of a file that is one record one read takes all, if there is room for
		// it (fs/seq_file.c): what falls short of the room is the end, and asking
		// again would cost a system call.
		if got == 0 || !records && n < len(r.buf) {
			return r.buf[:n], nil
		}
	}
}

// openat is openat(2) below level 0, again when a signal came in between. The
// package unix has it too, but copies the path to the heap for each call.
func (r *reading) openat(up, name string, flags int) (int, error) {
	r.setPath(up, name)
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(r.b.fd), uintptr(unsafe.Pointer(&r.path[0])), uintptr(flags), 0, 0, 0)
		if errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINTR {
			return -1, errno
		}
	}
}

// exists asks whether level 0 has a file.
func (r *reading) exists(name string) bool {
	r.setPath("", name)
	_, _, errno := unix.Syscall(unix.SYS_FACCESSAT, uintptr(r.b.fd), uintptr(unsafe.Pointer(&r.path[0])), unix.F_OK)
	return errno == 0
}

func (r *reading) setPath(up, name string) {
	r.path = append(append(append(r.path[:0], up...), name...), 0)
}
