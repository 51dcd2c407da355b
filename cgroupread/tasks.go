// SPDX-License-Identifier: Apache-2.0

package cgroupread

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

// Tasks appends to dst the TIDs of the threads in the container's cgroup and all
// below it, in the program's PID namespace, until dst has most of them. complete
// says that these are all: there were no more threads, and no more than 4096
// cgroups.
//
// The walk isn't atomic: a thread that is moved meanwhile can be there twice, or
// not at all, and may have ended by now. A cgroup that goes meanwhile has no
// threads. None for the root cgroup.
func (r Reader) Tasks(dst []int, most int) (tids []int, complete bool, err error) {
	b, err := r.taskBranch()
	if err != nil || b == nil {
		return dst, err == nil, err
	}
	start := len(dst)
	err = r.read(b, func(p *reading) {
		dst, complete = p.tasks(dst, most)
	})
	if err != nil {
		return dst[:start], false, err
	}
	return dst, complete, nil
}

// taskBranch is the first hierarchy in which the container has a cgroup.
func (r Reader) taskBranch() (*branch, error) {
	for _, b := range r.c.branches {
		if len(b.levels) > 0 {
			return b, nil
		}
	}
	b, err := r.branch(&r.c.unified)
	if err != nil || b == nil || len(b.levels) == 0 {
		return nil, err
	}
	return b, nil
}

// tasks goes through the cgroups breadth first. queue holds the directories
// below level 0, "a/" and "a/b/", one line each (a cgroup's name has no
// newline).
func (p *reading) tasks(dst []int, most int) (tids []int, complete bool) {
	dst, complete = p.threads(dst, "", most)
	queue, whole := p.children(nil, "")
	complete = complete && whole
	for n := 1; complete && len(queue) > 0 && p.err == nil; n++ {
		line, rest, _ := bytes.Cut(queue, []byte("\n"))
		dir := string(line)
		if n == mostDirectories {
			return dst, false
		}
		missed := p.missed
		if dst, complete = p.threads(dst, dir, most); complete {
			queue, complete = p.children(rest, dir)
		}
		p.missed = missed // a child's end isn't the container's
	}
	return dst, complete
}

// threads appends the TIDs of one cgroup.
func (p *reading) threads(dst []int, dir string, most int) (tids []int, complete bool) {
	name := "tasks"
	if p.b.unified {
		name = "cgroup.threads"
	}
	text, err := p.load(dir, name, true)
	switch {
	case isMissing(err):
		p.missed = true
		return dst, true
	case errors.Is(err, unix.ENAMETOOLONG):
		return dst, false
	case errors.Is(err, errTooLong):
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	case err != nil:
		p.err = fmt.Errorf("read cgroup: %s/%s%s: %w", p.b.dir, dir, name, err)
		return dst, false
	}
	dst, whole, parseErr := cgroupfile.ParseTIDs(dst, text, most)
	if parseErr != nil && p.err == nil {
		p.err = atPath(parseErr, p.b.dir+"/"+dir+name)
	}
	return dst, whole && err == nil
}

// children appends a cgroup's children to the queue.
func (p *reading) children(queue []byte, dir string) (longer []byte, complete bool) {
	fd, err := p.openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if isMissing(err) {
		p.missed = true
		return queue, true
	}
	if err != nil {
		return queue, p.failDir(dir, err)
	}
	list := os.NewFile(uintptr(fd), p.b.dir+"/"+dir)
	defer func() { _ = list.Close() }()
	// A directory has as many links as directories in it and two (kernfs), so
	// most needn't be listed. Other file systems, as tests have them, may count
	// in another way, but never less than two.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Nlink == 2 {
		return queue, true
	}
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
func (p *reading) failDir(dir string, err error) (complete bool) {
	if p.err == nil && !errors.Is(err, unix.ENAMETOOLONG) {
		p.err = fmt.Errorf("list cgroups: %s/%s: %w", p.b.dir, dir, err)
	}
	return false
}
