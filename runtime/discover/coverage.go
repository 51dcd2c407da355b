// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
)

// Coverage counts what the files that lie over a container's can't reach.
type Coverage struct {
	// Elsewhere are processes of the container in a mount namespace that has none
	// of our files over the destinations: services that systemd gave a /proc of
	// their own, containers inside.
	Elsewhere int
	// HeldOpen are descriptors that were opened before the file was covered and
	// still read the kernel's own.
	HeldOpen int
}

// Coverage looks at every process of a container that All or Resolve has just
// returned. destinations are the covered files as the container sees them
// ("/proc/meminfo"). Processes that end meanwhile don't count; the error is
// attach.ErrGone when init has ended. No file of the container is opened: only
// /proc/PID is read.
func (f *Finder) Coverage(c Container, destinations []string) (Coverage, error) {
	var out Coverage
	home := f.link(c.InitPID, "ns/mnt")
	if home == "" {
		return out, fmt.Errorf("coverage of %s: process %d: %w", c, c.InitPID, attach.ErrGone)
	}
	covered := map[string]bool{home: true}
	for _, pid := range c.PIDs {
		ns := f.link(pid, "ns/mnt")
		if ns == "" {
			continue // it ended, or is a zombie
		}
		if _, seen := covered[ns]; !seen {
			covered[ns] = f.isCovered(pid, destinations)
		}
		if !covered[ns] {
			out.Elsewhere++
		}
		out.HeldOpen += f.heldOpen(pid, destinations)
	}
	return out, nil
}

// isCovered tells whether a process sees a file of ours at any destination:
// mounts may have reached its namespace by propagation.
func (f *Finder) isCovered(pid int, destinations []string) bool {
	mounts, err := attach.List(f.roots.Proc, pid)
	if err != nil {
		return true // it ended
	}
	for _, m := range mounts {
		if !m.Covered && slices.Contains(destinations, m.Destination) {
			return true
		}
	}
	return false
}

// heldOpen counts a process' descriptors of the kernel's own files.
func (f *Finder) heldOpen(pid int, destinations []string) int {
	n := 0
	var own map[string]bool // mount ids, of procfs and sysfs
	for _, fd := range names(f.file(pid, "fd")) {
		if !slices.Contains(destinations, f.link(pid, "fd/"+fd)) {
			continue
		}
		if own == nil {
			own = f.kernelMounts(pid)
		}
		if own[f.mountOf(pid, fd)] {
			n++
		}
	}
	return n
}

// mountOf is the mount that a descriptor was opened on (fdinfo, proc(5)).
func (f *Finder) mountOf(pid int, fd string) string {
	text, err := os.ReadFile(f.file(pid, "fdinfo/"+fd))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// kernelMounts are the ids of the procfs and sysfs mounts that a process has.
func (f *Finder) kernelMounts(pid int) map[string]bool {
	ids := map[string]bool{}
	text, err := os.ReadFile(f.file(pid, "mountinfo"))
	if err != nil {
		return ids
	}
	for line := range strings.Lines(string(text)) {
		head, tail, _ := strings.Cut(line, " - ")
		id, _, _ := strings.Cut(head, " ")
		kind, _, _ := strings.Cut(tail, " ")
		if _, err := strconv.Atoi(id); err == nil && (kind == "proc" || kind == "sysfs") {
			ids[id] = true
		}
	}
	return ids
}
