// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// Pass is one pass over a branch's files: it remembers whether one was missing,
// and the first error, after which it reads no more. It belongs to one goroutine.
type Pass struct {
	b      *Branch
	cache  *Cache
	record *Record // or nil
	keep   bool    // what is opened is likely to be read again
	missed bool
	err    error

	buf  []byte // a file's text
	path []byte // what is opened, with a NUL behind it
}

// memory.stat has 1.5 to 3 kB, most other files less than 100 bytes.
const bufferSize = 8 << 10

// maxFile is far above what any interface file holds, threads apart; it bounds
// memory should one misbehave.
const maxFile = 1 << 20

var errTooLong = errors.New("more than 1 MiB")

// Read runs pass over the branch's files, and notes in record, which may be nil,
// what it read. The error is [ErrGone], or the pass's first.
func (b *Branch) Read(record *Record, pass func(p *Pass)) error { return b.run(record, true, pass) }

// Once is Read of files that aren't expected to be read again soon: they make no
// other file close.
func (b *Branch) Once(pass func(p *Pass)) error { return b.run(nil, false, pass) }

func (b *Branch) run(record *Record, keep bool, pass func(p *Pass)) error {
	c := b.own.tree.cache
	p, ok := c.passes.Get().(*Pass)
	if !ok {
		p = &Pass{cache: c, buf: make([]byte, bufferSize)}
	}
	p.b, p.record, p.keep, p.missed, p.err = b, record, keep, false, nil
	pass(p)
	err := p.result()
	p.b, p.record, p.err = nil, nil, nil
	if len(p.buf) <= 4*bufferSize { // no file of unusual length made it grow
		c.passes.Put(p)
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
	text, err := p.load(l, name, records)
	switch {
	case isMissing(err):
		p.missed = true
	case err != nil:
		p.err = fmt.Errorf("read cgroup: %s: %w", l.file(name), err)
		return nil
	}
	p.record.add(l, name, text)
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
		p.err = cgroupfile.AtPath(err, l.file(name))
	}
}

// Unified reports whether the files are cgroup2's.
func (p *Pass) Unified() bool { return p.b.Unified() }

// Names are the names of a level's files and children, nil if it isn't there.
func (p *Pass) Names(l *Level) []string {
	if p.err != nil {
		return nil
	}
	fd, err := p.openBelow(l, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if isMissing(err) {
		p.missed = true
		return nil
	}
	if err != nil {
		p.err = fmt.Errorf("list cgroup files: %s: %w", l.dir(), err)
		return nil
	}
	dir := os.NewFile(uintptr(fd), l.dir())
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
		if err := p.alive(); err != nil {
			return fmt.Errorf("read cgroup: %s: %w", p.b.own.dir(), err)
		}
	}
	return p.err
}

// alive is ErrGone if level 0 was removed, or why that can't be told. It is asked
// after a file was found missing: if the directory is still there, it was there
// then too, and only the file is missing.
func (p *Pass) alive() error {
	dir, warm, err := p.directory(p.b.own)
	// Of a directory that was open, ask for the file that every cgroup has for as
	// long as it lives, in v1 and v2. Belt and braces, and for trees that are no
	// cgroupfs: ask also whether its name still leads to it.
	if warm && !p.exists(dir.fd, "cgroup.procs") {
		p.cache.drop(dir)
		p.cache.put(dir)
		dir, _, err = p.directory(p.b.own)
	}
	switch {
	case err == nil:
		p.cache.put(dir)
		return nil
	case isMissing(err):
		return ErrGone
	}
	return err
}

// load reads a whole file, and returns its text, part of p.buf. The error is a
// bare errno, or errTooLong beside the first 1 MiB.
func (p *Pass) load(l *Level, name string, records bool) ([]byte, error) {
	for {
		f, warm, err := p.open(l, name)
		if err != nil {
			return nil, err
		}
		text, err := p.contents(f.fd, records)
		if err == nil && !l.tree.isCgroupfs && isUnlinked(f.fd) {
			text, err = nil, unix.ENODEV // as cgroupfs says
		}
		if err != nil {
			p.cache.drop(f)
		}
		p.cache.put(f)
		// A controller that was turned off and on has another file of this name.
		if warm && errors.Is(err, unix.ENODEV) {
			continue
		}
		return text, err
	}
}

// isUnlinked says that a file was removed. Of a captured cgroup tree, which is no
// cgroupfs, such a file could be read on.
func isUnlinked(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Nlink == 0
}

// contents reads an open file from its start into p.buf.
func (p *Pass) contents(fd int, records bool) ([]byte, error) {
	n := 0
	for {
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
		if n < len(p.buf) {
			continue
		}
		if n >= maxFile {
			return p.buf[:n], errTooLong
		}
		p.buf = append(p.buf, make([]byte, n)...)
		if !records {
			n = 0 // the rest would be of a record that is made anew
		}
	}
}

// open is an interface file, to be put back. warm says that it had been open.
func (p *Pass) open(l *Level, name string) (f *file, warm bool, err error) {
	if f := p.cache.use(l, name); f != nil {
		return f, true, nil
	}
	fd, err := p.openBelow(l, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if err != nil {
		return nil, false, err
	}
	return p.cache.add(l, name, fd, p.keep), false, nil
}

// directory is a level's directory, to be put back. ENOENT if it isn't there any
// more, also if another one has its name.
func (p *Pass) directory(l *Level) (f *file, warm bool, err error) {
	if f := p.cache.use(l, ""); f != nil {
		return f, true, nil
	}
	p.path = append(append(append(p.path[:0], l.tree.mountpoint...), l.rel()...), 0)
	fd, err := p.openat(unix.AT_FDCWD, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return nil, false, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Ino != l.ino {
		err = unix.ENOENT
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, false, err
	}
	return p.cache.add(l, "", fd, p.keep), false, nil
}

// openBelow opens what lies below a level's directory.
func (p *Pass) openBelow(l *Level, name string, flags int) (fd int, err error) {
	dir, _, err := p.directory(l)
	if err != nil {
		return -1, err
	}
	defer p.cache.put(dir)
	p.path = append(append(p.path[:0], name...), 0)
	return p.openat(dir.fd, flags)
}

// openat is openat(2) of p.path, again when a signal came in between, or when the
// process has no descriptor left and the cache some to spare. The package unix
// has it too, but copies the path to the heap for each call.
func (p *Pass) openat(at, flags int) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&p.path[0])), uintptr(flags), 0, 0, 0)
		if errno == 0 {
			return int(fd), nil
		}
		if errno == unix.EINTR || errno == unix.EMFILE && p.cache.shrink() {
			continue
		}
		return -1, errno
	}
}

// exists asks whether a directory has a file.
func (p *Pass) exists(dir int, name string) bool {
	p.path = append(append(p.path[:0], name...), 0)
	_, _, errno := unix.Syscall(unix.SYS_FACCESSAT, uintptr(dir), uintptr(unsafe.Pointer(&p.path[0])), unix.F_OK)
	return errno == 0
}
