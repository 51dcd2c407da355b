// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
)

// process is what /proc/PID/{status,stat} say of one, proc(5).
type process struct {
	pid, tgid, parent int
	start             uint64 // ticks after boot
	zombie            bool
	// inner is its PID in its own namespace where that lies below the one that
	// procfs was mounted for, else 0.
	inner int
	depth int // PID namespaces it is in, from procfs's down
}

func (f *Finder) file(pid int, name string) string {
	return filepath.Join(f.roots.Proc, strconv.Itoa(pid), name)
}

func (f *Finder) process(pid int) (process, error) {
	p := process{pid: pid}
	status, err := os.ReadFile(f.file(pid, "status"))
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, attach.ErrGone)
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch last := fields[len(fields)-1]; key {
		case "State":
			p.zombie = fields[0] == "Z" || fields[0] == "X"
		case "Tgid":
			p.tgid, err = strconv.Atoi(last)
		case "PPid":
			p.parent, err = strconv.Atoi(last)
		case "NSpid":
			p.depth = len(fields)
			if p.depth > 1 {
				p.inner, err = strconv.Atoi(last)
			}
		}
		if err != nil {
			return p, fmt.Errorf("process %d: %s: %q: %w", pid, f.file(pid, "status"), line, err)
		}
	}
	p.start, err = f.startTime(pid)
	return p, err
}

// startTime is field 22 of /proc/PID/stat. The second is the program's name in
// parentheses and may contain any character.
func (f *Finder) startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(f.file(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, attach.ErrGone)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, start = 3, 22
	if len(fields) <= start-state {
		return 0, fmt.Errorf("process %d: %s: %d fields after the name", pid, f.file(pid, "stat"), len(fields))
	}
	n, err := strconv.ParseUint(string(fields[start-state]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process %d: %s: start time: %w", pid, f.file(pid, "stat"), err)
	}
	return n, nil
}

// arguments is a process' command line, nil where it has none.
func (f *Finder) arguments(pid int) []string {
	b, err := os.ReadFile(f.file(pid, "cmdline"))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// link reads a symbolic link of /proc/PID, "" where that can't be done.
func (f *Finder) link(pid int, name string) string {
	s, err := os.Readlink(f.file(pid, name))
	if err != nil {
		return ""
	}
	return s
}

// initOf chooses the init process among the processes of one container.
func (f *Finder) initOf(members []process) (process, bool) {
	var live []process
	in := map[int]bool{}
	for _, p := range members {
		if !p.zombie {
			live = append(live, p)
			in[p.pid] = true
		}
	}
	if len(live) == 0 {
		return process{}, false
	}
	slices.SortFunc(live, func(a, b process) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.pid, b.pid))
	})
	oldest := live[0]
	for _, p := range live {
		// PID 1 of a namespace that a process of the container made has its parent in the container.
		if p.inner != 1 || in[p.parent] {
			continue
		}
		// The parent may have ended since. The oldest process tells: in a container
		// without a PID namespace it is the container's own, in one with a PID
		// namespace only something of the host's can be older than init.
		if p.pid != oldest.pid && oldest.depth < p.depth && f.isInside(oldest) {
			break
		}
		return p, true
	}
	return oldest, true
}

// isInside tells whether a process has another mount namespace than this one.
func (f *Finder) isInside(p process) bool {
	own, err := os.Readlink(filepath.Join(f.roots.Proc, "self/ns/mnt"))
	theirs := f.link(p.pid, "ns/mnt")
	return err == nil && theirs != "" && theirs != own
}
