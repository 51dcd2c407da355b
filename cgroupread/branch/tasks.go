// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// What a walk over a container's cgroups takes at most. A tenant can make as
// many as it likes.
const (
	mostDirectories    = 4096
	mostDirectoryBytes = 1 << 20 // of their names together
)

// Threads appends to dst the TIDs of the threads in level 0 and in all below it,
// in the program's PID namespace, until dst has most of them. complete says that
// these are all: there were no more threads, and no more than 4096 cgroups. A
// cgroup below that goes meanwhile has no threads.
//
// It goes through the cgroups breadth first. The queue holds their directories,
// "a/" and "a/b/", one line each (a cgroup's name has no newline).
func (p *Pass) Threads(dst []int, most int) (tids []int, complete bool) {
	queue := []byte("\n") // "", level 0
	for n := 0; len(queue) > 0; n++ {
		if n == mostDirectories {
			return dst, false
		}
		line, rest, _ := bytes.Cut(queue, []byte("\n"))
		dir, missed := string(line), p.missed
		dst, complete = p.threads(dst, dir, most)
		if complete {
			queue, complete = p.children(rest, dir)
		}
		if n > 0 {
			p.missed = missed // a child's end isn't the container's
		}
		if !complete || p.err != nil {
			return dst, false
		}
	}
	return dst, true
}

// threads appends the TIDs of one cgroup.
func (p *Pass) threads(dst []int, dir string, most int) (tids []int, complete bool) {
	name := "tasks"
	if p.b.Unified() {
		name = "cgroup.threads"
	}
	text, err := p.loadBelow(dir + name)
	switch {
	case isMissing(err):
		p.missed = true
		return dst, true
	case errors.Is(err, unix.ENAMETOOLONG):
		return dst, false
	case errors.Is(err, errTooLong):
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	case err != nil:
		p.err = fmt.Errorf("read cgroup: %s/%s%s: %w", p.b.own.dir(), dir, name, err)
		return dst, false
	}
	dst, whole, parseErr := cgroupfile.ParseTIDs(dst, text, most)
	if parseErr != nil && p.err == nil {
		p.err = cgroupfile.AtPath(parseErr, p.b.own.dir()+"/"+dir+name)
	}
	return dst, whole && err == nil
}

// loadBelow reads a file that may lie deeper than level 0, and that isn't kept
// open: nobody says when those cgroups end.
func (p *Pass) loadBelow(name string) ([]byte, error) {
	fd, err := p.openBelow(p.b.own, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	return p.contents(fd, true)
}

// children appends a cgroup's children to the queue.
func (p *Pass) children(queue []byte, dir string) (longer []byte, complete bool) {
	fd, err := p.openBelow(p.b.own, dir+".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if isMissing(err) {
		p.missed = true
		return queue, true
	}
	if err != nil {
		return queue, p.failDir(dir, err)
	}
	// A directory has as many links as directories in it and two (kernfs), so
	// most needn't be listed. Other file systems, as tests have them, may count
	// in another way, but never less than two.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Nlink == 2 {
		_ = unix.Close(fd)
		return queue, true
	}
	list := os.NewFile(uintptr(fd), p.b.own.dir()+"/"+dir)
	defer func() { _ = list.Close() }()
	for {
		entries, err := list.ReadDir(256)
		for _, entry := range entries {
			if !entry.IsDir() {
				continue // and no symbolic link, which the kernel has none of here
			}
			if len(queue)+len(dir)+len(entry.Name()) > mostDirectoryBytes {
				return queue, false
			}
			queue = append(append(append(append(queue, dir...), entry.Name()...), '/'), '\n')
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, fs.ErrNotExist):
			return queue, true
		case err != nil:
			return queue, p.failDir(dir, err)
		}
	}
}

// failDir keeps the error of listing a directory; a path that is too long is
// none, but what lies there isn't counted.
func (p *Pass) failDir(dir string, err error) (complete bool) {
	if p.err == nil && !errors.Is(err, unix.ENAMETOOLONG) {
		p.err = fmt.Errorf("list cgroups: %s/%s: %w", p.b.own.dir(), dir, err)
	}
	return false
}
