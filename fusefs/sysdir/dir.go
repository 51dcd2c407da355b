// SPDX-License-Identifier: Apache-2.0

package sysdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxText bounds what is read of one file; sysfs gives a page, and some pages for
// lists of CPUs.
const maxText = 1 << 20

// A Dir is a directory of the host, opened once. Its methods may be called at the
// same time.
type Dir struct {
	path   string
	scheme Scheme
	rules  []Rule
	top    atomic.Pointer[os.File]
}

// An Entry is something that the directory has now, and that may be shown.
type Entry struct {
	Number        uint32
	Name          string
	Path          string // relative to the directory
	Rule          uint32
	First, Second int // the numbers in the path, -1 where there is none
	Kind          Kind
	Mode          uint32 // permission bits
	UID, GID      uint32
	Size          int64  // as the host says it
	Target        string // of a link
}

// New returns the directory at path. It is opened when it is first needed, or by
// Open.
func New(path string, scheme Scheme, rules []Rule) *Dir {
	return &Dir{path: path, scheme: scheme, rules: rules}
}

// Scheme is how the numbers of the directory's entries are composed.
func (d *Dir) Scheme() Scheme { return d.scheme }

// Path is the directory's own, on the host.
func (d *Dir) Path() string { return d.path }

// Open opens the directory, so that it stays the one that is there now when
// something is mounted over it. fs.ErrNotExist if there is none.
func (d *Dir) Open() error {
	_, err := d.open()
	return err
}

func (d *Dir) open() (*os.File, error) {
	if top := d.top.Load(); top != nil {
		return top, nil
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(d.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: d.path, Err: err}
	}
	top := os.NewFile(uintptr(fd), d.path)
	if !d.top.CompareAndSwap(nil, top) {
		_ = top.Close() // another goroutine was faster; nothing was done with ours
	}
	return d.top.Load(), nil
}

// Close closes the directory.
func (d *Dir) Close() error {
	if top := d.top.Swap(nil); top != nil {
		return top.Close()
	}
	return nil
}

// At returns the entry that a number stands for, if it is there now; else
// fs.ErrNotExist.
func (d *Dir) At(number uint32) (Entry, error) {
	id, first, second := d.scheme.split(number)
	i := slices.IndexFunc(d.rules, func(r Rule) bool { return r.Number == id })
	if i < 0 || !d.scheme.Is(number) {
		return Entry{}, d.missing(fmt.Sprintf("entry %#x", number))
	}
	r := &d.rules[i]
	at := fill(r.Pattern, first, second)
	if r.any() {
		names, err := d.names(r.above())
		if err != nil {
			return Entry{}, err
		}
		if first >= len(names) {
			return Entry{}, d.missing(r.Pattern)
		}
		at = path.Join(r.above(), names[first])
	}
	if n := strings.Count(r.Pattern, "#"); n < 2 {
		second = none
		if n < 1 && !r.any() {
			first = none
		}
	}
	e, err := d.entry(r, at, first, second)
	if err == nil && e.Number != number {
		err = d.missing(at) // bits that mean nothing to the rule
	}
	return e, err
}

// Find returns the entry of the directory parent with this name; fs.ErrNotExist if
// there is none, or none to be shown. Parent nil is the top.
func (d *Dir) Find(parent *Entry, name string) (Entry, error) {
	within, numbers := d.within(parent)
	for i := range d.rules {
		r := &d.rules[i]
		if r.above() != within {
			continue
		}
		if r.any() {
			names, err := d.names(within)
			if err != nil {
				return Entry{}, err
			}
			if place, ok := slices.BinarySearch(names, name); ok {
				return d.entry(r, path.Join(within, name), place, none)
			}
			continue
		}
		n, ok := r.match(name)
		if !ok {
			continue
		}
		e, err := d.numbered(r, numbers, n)
		if !errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
	}
	return Entry{}, d.missing(name)
}

// List returns the entries of the directory parent that are to be shown, sorted by
// name. Parent nil is the top.
func (d *Dir) List(parent *Entry) ([]Entry, error) {
	within, numbers := d.within(parent)
	names, err := d.names(fill(within, numbers...))
	if err != nil {
		return nil, err
	}
	var list []Entry
	for place, name := range names {
		for i := range d.rules {
			r := &d.rules[i]
			if r.above() != within {
				continue
			}
			var e Entry
			err := fs.ErrNotExist
			if r.any() {
				e, err = d.entry(r, path.Join(within, name), place, none)
			} else if n, ok := r.match(name); ok {
				e, err = d.numbered(r, numbers, n)
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // of no interest, of another kind, or gone since
			}
			if err != nil {
				return nil, err
			}
			list = append(list, e)
			break
		}
	}
	return list, nil
}

// Above returns the number of the directory that an entry is in; false if that is
// the directory itself.
func (d *Dir) Above(e *Entry) (uint32, bool) {
	i := slices.IndexFunc(d.rules, func(r Rule) bool { return r.Number == e.Rule })
	above := d.rules[i].above()
	i = slices.IndexFunc(d.rules, func(r Rule) bool { return r.Pattern == above })
	if i < 0 {
		return 0, false
	}
	first, second := none, none
	switch strings.Count(above, "#") {
	case 2:
		second = e.Second
		fallthrough
	case 1:
		first = e.First
	}
	return d.scheme.compose(d.rules[i].Number, first, second)
}

// within returns the pattern of a directory, and the numbers in its path.
func (d *Dir) within(parent *Entry) (pattern string, numbers []int) {
	if parent == nil {
		return ".", nil
	}
	i := slices.IndexFunc(d.rules, func(r Rule) bool { return r.Number == parent.Rule })
	for _, n := range []int{parent.First, parent.Second} {
		if n != none {
			numbers = append(numbers, n)
		}
	}
	return d.rules[i].Pattern, numbers
}

// numbered returns the entry of a rule in a directory whose path has the numbers
// above in it; n is the number that its own name has, or none.
func (d *Dir) numbered(r *Rule, above []int, n int) (Entry, error) {
	numbers := [3]int{none, none, none}
	copy(numbers[:], above)
	if n != none {
		numbers[len(above)] = n
	}
	return d.entry(r, fill(r.Pattern, numbers[0], numbers[1]), numbers[0], numbers[1])
}

// entry looks at what is at a path, which came of rule r.
func (d *Dir) entry(r *Rule, at string, first, second int) (Entry, error) {
	number, ok := d.scheme.compose(r.Number, first, second)
	if !ok {
		return Entry{}, d.missing(at)
	}
	top, err := d.open()
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Number: number, Name: path.Base(at), Path: at, Rule: r.Number, First: first, Second: second, Kind: r.Kind}
	fd, err := d.openAt(top, at, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return Entry{}, err
	}
	defer func() { _ = unix.Close(fd) }() // an O_PATH descriptor has nothing left to fail
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Entry{}, d.failed("stat", at, err)
	}
	if kind, ok := kindOf(st.Mode); !ok || kind != r.Kind {
		return Entry{}, d.missing(at)
	}
	e.Mode, e.UID, e.GID, e.Size = st.Mode&0o777, st.Uid, st.Gid, st.Size
	if r.Kind == Link {
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", target)
		if err != nil {
			return Entry{}, d.failed("readlink", at, err)
		}
		e.Target = string(target[:n])
	}
	return e, nil
}

func kindOf(mode uint32) (Kind, bool) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return File, true
	case unix.S_IFDIR:
		return Directory, true
	case unix.S_IFLNK:
		return Link, true
	}
	return 0, false
}

// names lists a directory, sorted.
func (d *Dir) names(at string) ([]string, error) {
	top, err := d.open()
	if err != nil {
		return nil, err
	}
	fd, err := d.openAt(top, at, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), path.Join(d.path, at))
	names, err := dir.Readdirnames(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, fmt.Errorf("list %s: %w", dir.Name(), err)
	}
	slices.Sort(names)
	return names, nil
}

// Append appends the text of a file to dst.
func (d *Dir) Append(dst []byte, e *Entry) ([]byte, error) {
	top, err := d.open()
	if err != nil {
		return dst, err
	}
	fd, err := d.openAt(top, e.Path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return dst, err
	}
	defer func() { _ = unix.Close(fd) }() // opened for reading: nothing left to fail
	for start := len(dst); len(dst)-start < maxText; {
		dst = slices.Grow(dst, 4096) // less, and the kernel shortens some files
		n, err := retry(func() (int, error) { return unix.Read(fd, dst[len(dst):cap(dst)]) })
		if err != nil {
			return dst[:start], d.failed("read", e.Path, err)
		}
		if n == 0 {
			return dst, nil
		}
		dst = dst[:len(dst)+n]
	}
	return dst, d.failed("read", e.Path, unix.EFBIG)
}

// openAt opens a path below the directory, by no symbolic link; one that is the
// last element can be opened with O_PATH and O_NOFOLLOW.
func (d *Dir) openAt(top *os.File, at string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	fd, err := retry(func() (int, error) { return unix.Openat2(int(top.Fd()), at, &how) })
	return fd, d.failed("open", at, err)
}

// failed names what failed.
func (d *Dir) failed(op, at string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path.Join(d.path, at), Err: err}
}

func (d *Dir) missing(at string) error { return d.failed("show", at, unix.ENOENT) }

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
