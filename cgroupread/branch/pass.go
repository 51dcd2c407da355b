// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// Pass is one pass over a branch's files: it remembers whether one was missing,
// and the first error, after which it reads no more. It belongs to one goroutine.
type Pass struct {
	b      *Branch
	record *Record // or nil
	missed bool
	err    error

	buf  []byte // a file's text
	path []byte // what is opened, with a NUL behind it
}

// Pool keeps the memory of passes. Its zero value is ready; it may be shared.
type Pool struct{ pool sync.Pool }

// memory.stat has 1.5 to 3 kB, most other files less than 100 bytes.
const bufferSize = 8 << 10

// maxFile is far above what any interface file holds, threads apart; it bounds
// memory should one misbehave.
const maxFile = 1 << 20

var errTooLong = errors.New("more than 1 MiB")

// Read runs pass over a branch's files, and notes in record, which may be nil,
// what it read. The error is [ErrGone], or the pass's first.
func (pool *Pool) Read(b *Branch, record *Record, pass func(p *Pass)) error {
	p, ok := pool.pool.Get().(*Pass)
	if !ok {
		p = &Pass{buf: make([]byte, bufferSize)}
	}
	p.b, p.record, p.missed, p.err = b, record, false, nil
	pass(p)
	err := p.result()
	p.b, p.record, p.err = nil, nil, nil
	if len(p.buf) <= 4*bufferSize { // no file of unusual length made it grow
		pool.pool.Put(p)
	}
	return err
}

// Text is the text of an interface file that the kernel makes in one piece,
// valid until the next call; nil if it isn't there or an error came before.
func (p *Pass) Text(l *Level, name string) []byte { return p.read(l, name, false) }

// Long is Text for a file that the kernel makes record by record.
func (p *Pass) Long(l *Level, name string) []byte { return p.read(l, name, true) }

func (p *Pass) read(l *Level, name string, records bool) []byte {
	if p.err != nil {
		return nil
	}
	text, err := p.load(l.up, name, records)
	switch {
	case isMissing(err):
		p.missed = true
	case err != nil:
		p.err = fmt.Errorf("read cgroup: %s: %w", p.b.file(l, name), err)
		return nil
	}
	p.record.add(p.b, l, name, text)
	return text
}

// isMissing says that there is no such interface file here. ENODEV: it was
// removed between open and read, with its cgroup or because its controller was
// turned off. EOPNOTSUPP: pressure isn't measured on this kernel (psi=0).
func isMissing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP)
}

// Fail keeps a parser's error, with the file's path.
func (p *Pass) Fail(l *Level, name string, err error) {
	if err != nil && p.err == nil {
		p.err = cgroupfile.AtPath(err, p.b.file(l, name))
	}
}

// Missed counts a file as missing: the pass then asks whether the cgroup is gone.
func (p *Pass) Missed() { p.missed = true }

// Unified reports whether the files are cgroup2's.
func (p *Pass) Unified() bool { return p.b.Unified }

// Names are the names of a level's files and children, nil if it isn't there.
func (p *Pass) Names(l *Level) []string {
	if p.err != nil {
		return nil
	}
	fd, err := p.openat(l.up, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if isMissing(err) {
		p.missed = true
		return nil
	}
	if err != nil {
		p.err = fmt.Errorf("list cgroup files: %s: %w", p.b.file(l, ""), err)
		return nil
	}
	dir := os.NewFile(uintptr(fd), p.b.file(l, ""))
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		p.err = fmt.Errorf("list cgroup files: %w", err)
	}
	return names
}

// result is the error of the whole pass. A gone cgroup explains every other
// error and every missing file, so it comes first.
func (p *Pass) result() error {
	if p.missed || p.err != nil {
		if err := p.gone(); err != nil {
			return err
		}
	}
	return p.err
}

// gone is ErrGone if level 0 was removed. It is asked after a file was found
// missing: if the directory is still there, it was there then too, and only the
// file is missing.
func (p *Pass) gone() error {
	// Every cgroup has this one for as long as it lives, in v1 and v2.
	if p.exists("cgroup.procs") {
		return nil
	}
	// Belt and braces, and trees that are no cgroupfs: the name still leads to
	// the directory that we hold.
	var st unix.Stat_t
	if err := unix.Stat(p.b.dir, &st); err == nil && st.Ino == p.b.ino {
		return nil
	}
	return fmt.Errorf("read cgroup: %s: %w", p.b.dir, ErrGone)
}

// load reads a whole file, and returns its text, part of p.buf. The error is a
// bare errno, or errTooLong beside the first 1 MiB.
func (p *Pass) load(up, name string, records bool) ([]byte, error) {
	fd, err := p.openat(up, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for {
		if n == len(p.buf) {
			if n >= maxFile {
				return p.buf[:n], errTooLong
			}
			p.buf = append(p.buf, make([]byte, max(n, 1024))...)
		}
		got, err := unix.Pread(fd, p.buf[n:], int64(n))
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
		if got == 0 || !records && n < len(p.buf) {
			return p.buf[:n], nil
		}
	}
}

// openat is openat(2) below level 0, again when a signal came in between. The
// package unix has it too, but copies the path to the heap for each call.
func (p *Pass) openat(up, name string, flags int) (int, error) {
	p.setPath(up, name)
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(p.b.fd), uintptr(unsafe.Pointer(&p.path[0])), uintptr(flags), 0, 0, 0)
		if errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINTR {
			return -1, errno
		}
	}
}

// exists asks whether level 0 has a file.
func (p *Pass) exists(name string) bool {
	p.setPath("", name)
	_, _, errno := unix.Syscall(unix.SYS_FACCESSAT, uintptr(p.b.fd), uintptr(unsafe.Pointer(&p.path[0])), unix.F_OK)
	return errno == 0
}

func (p *Pass) setPath(up, name string) {
	p.path = append(append(append(p.path[:0], up...), name...), 0)
}
