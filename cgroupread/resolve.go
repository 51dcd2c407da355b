// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// OfProcess is the cgroup of a process, or of a thread by its TID, from
// procRoot/PID/cgroup. [ErrNoProcess] if there is none; [ErrGone] if it is in a
// cgroup that was deleted (a zombie's).
func (l *Layout) OfProcess(procRoot string, pid int) (Paths, error) {
	file := filepath.Join(procRoot, strconv.Itoa(pid), "cgroup")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return Paths{}, fmt.Errorf("cgroup of process: %d: %w", pid, ErrNoProcess)
	}
	if err != nil {
		return Paths{}, fmt.Errorf("cgroup of process: %w", err)
	}
	p, err := l.OfText(text)
	if err != nil {
		return Paths{}, cgroupfile.AtPath(err, file)
	}
	return p, nil
}

// OfText is the cgroup that the text of a /proc/PID/cgroup names, for callers
// that hold the process's directory open. [ErrGone] as for OfProcess.
func (l *Layout) OfText(text []byte) (Paths, error) {
	members, err := parseProcCgroup(text)
	if err != nil {
		return Paths{}, err
	}
	unified := ""
	for _, m := range members {
		if m.controllers == nil {
			if l.unified == nil {
				continue // always in the file, even where nothing mounts it
			}
			if l.isDeleted(m.path) {
				return Paths{}, fmt.Errorf("cgroup: %s: %w", printable(m.path), ErrGone)
			}
			unified = m.path
		}
	}
	return newPaths(unified, func(yield func(controller, path string) bool) {
		for _, m := range members {
			for _, c := range m.controllers {
				if !yield(c, m.path) {
					return
				}
			}
		}
	}), nil
}

// isDeleted reports whether the kernel marked this cgroup2 path as deleted,
// rather than somebody having named a cgroup so.
func (l *Layout) isDeleted(path string) bool {
	if !strings.HasSuffix(path, deletedSuffix) {
		return false
	}
	dir, err := l.unified.dir(path)
	if err != nil {
		return true
	}
	_, err = os.Lstat(dir)
	return err != nil
}

// OfDir is the cgroup at a path as people write it: an absolute directory below
// a cgroup mount ("/sys/fs/cgroup/memory/docker/abc") or a path relative to the
// root ("/docker/abc", "docker/abc"). On v1 it is the same path in each
// hierarchy, or the nearest ancestor that exists there. The error is
// fs.ErrNotExist if no hierarchy has it.
func (l *Layout) OfDir(path string) (Paths, error) {
	if strings.ContainsAny(path, "\n\x00") || path == "" {
		return Paths{}, fmt.Errorf("cgroup: %q: %w", path, errNotPath)
	}
	wanted := filepath.Clean("/" + path)
	if strings.Contains("/"+path+"/", "/../") {
		return Paths{}, fmt.Errorf("cgroup: %q: write it without \"..\": %w", path, errNotPath)
	}
	h, rel, ok := l.mountOf(wanted)
	if !ok {
		// /sys/fs/cgroup/cpu is a symbolic link where cpu and cpuacct share one.
		if target, err := filepath.EvalSymlinks(wanted); err == nil {
			h, rel, ok = l.mountOf(target)
		}
	}
	if ok {
		wanted = join(h.Root, rel)
	}
	unified, v1 := "", make(map[string]string)
	found := false
	for _, h := range l.hierarchies() {
		at, exact := h.nearest(wanted)
		found = found || exact
		if h.Unified {
			unified = at
			continue
		}
		for _, c := range h.Controllers {
			v1[c] = at
		}
	}
	if !found {
		return Paths{}, fmt.Errorf("cgroup: %s: no hierarchy has it: %w", printable(path), fs.ErrNotExist)
	}
	return newPaths(unified, maps.All(v1)), nil
}

// mountOf is the hierarchy that an absolute directory lies in: the one with the
// longest mountpoint.
func (l *Layout) mountOf(dir string) (found *Hierarchy, rel string, ok bool) {
	for _, h := range l.hierarchies() {
		if r, in := below(h.Mountpoint, dir); in && (!ok || len(h.Mountpoint) > len(found.Mountpoint)) {
			found, rel, ok = h, r, true
		}
	}
	return found, rel, ok
}

// nearest is path, or its nearest ancestor that exists, or what the mount shows.
// exact says that it is path itself.
func (h *Hierarchy) nearest(path string) (at string, exact bool) {
	for at = path; at != h.Root; at = parent(at) {
		dir, err := h.dir(at)
		if err != nil {
			return h.Root, false // beside what is mounted
		}
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			return at, at == path
		}
	}
	return h.Root, path == h.Root
}
