// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// lxcfsType is the file system type of LXCFS's mounts, and of the shared tree
// that is served in its name.
const lxcfsType = "fuse.lxcfs"

// LXCFSTree is where LXC's mount hook binds all of LXCFS's tree in a container
// that has this directory, for the containers inside it.
const LXCFSTree = "/var/lib/lxcfs"

// OpenWhole clones the mount of a shared tree, source, for [Process.Replace] to
// put it where a container has all of LXCFS's.
func OpenWhole(source string) (Tree, error) {
	file, err := openTree(source, unix.S_IFDIR)
	return Tree{File: file, Destination: LXCFSTree, whole: true}, err
}

// LXCFS returns the mounts of LXCFS that a process has, alive or dead, in the
// order in which they were made, and a whole tree of ours that has taken its
// place. procRoot and errors are as List's. What Replace makes of them, Fate
// says.
func LXCFS(procRoot string, pid int) ([]Mounted, error) {
	table, err := readTable(procRoot, pid)
	if err != nil {
		return nil, err
	}
	return listed(table, func(m *mountinfo.Info) bool { return isLXCFS(m) || isWhole(m) }), nil
}

func (m Mounted) isAbove(dst string) bool {
	return checkDestination(m.Destination) == nil && strings.HasPrefix(dst, m.Destination+"/")
}

// Fate says what Replace does with a mount of LXCFS when it is given trees for
// these destinations.
func (m Mounted) Fate(destinations []string) Action {
	switch {
	case slices.Contains(destinations, m.Destination):
		return Replaced
	case slices.ContainsFunc(destinations, m.isAbove), slices.ContainsFunc(destinations, m.isPassedBeside):
		return Removed
	default:
		return Left
	}
}

// isPassedBeside says whether the mount lies in a directory of sysfs that dst is
// in as well. What nothing of ours is for there, LXCFS and we pass through from
// the host's own: the kernel has the same without it.
func (m Mounted) isPassedBeside(dst string) bool {
	for _, dir := range []string{"/sys/devices/system/cpu/", "/sys/devices/system/node/"} {
		if strings.HasPrefix(m.Destination, dir) && strings.HasPrefix(dst, dir) {
			return true
		}
	}
	return false
}

// Touches says whether any of LXCFS's mounts makes room when Replace is given
// trees for these destinations.
func Touches(lxcfs []Mounted, destinations []string) bool {
	return slices.ContainsFunc(lxcfs, func(m Mounted) bool { return m.Fate(destinations) != Left })
}

// WithCovered adds to files, paths without their first "/", those of served that
// LXCFS's mounts lie over and the kernel has.
func WithCovered(files, served []string, lxcfs []Mounted) []string {
	files = slices.Clone(files)
	for _, f := range served {
		if slices.Contains(files, f) || !Touches(lxcfs, []string{"/" + f}) {
			continue
		}
		if _, err := os.Lstat("/" + f); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// Replace is Attach that leaves nothing of LXCFS where the trees go: its mounts
// over their destinations make room, and so do those over a directory that a
// destination is in (/sys/devices/system/cpu, /proc/pressure) and over its
// neighbours in /sys/devices/system/{cpu,node}, where the kernel's own comes back. One mount is left for each tree. All is
// changed or, when an error is returned, nothing; the results name these
// too. LXCFS may be dead: nothing here asks it. Its other mounts
// are left alone.
//
// Who opens one of the files meanwhile always finds one. Where the kernel can
// mount beneath a mount (Linux 6.5) that is LXCFS's, then ours. Otherwise, and
// below a directory that LXCFS covered, it can for an instant be the kernel's
// own, and where Attach had put ours upon LXCFS's, for an instant LXCFS's again.
func (p *Process) Replace(ctx context.Context, trees []Tree) ([]Result, error) {
	return p.withTrees(ctx, trees, func(q *Process, w *work, own []Tree) ([]Result, error) {
		removed, err := q.uncover(w, own)
		if err != nil {
			return nil, err
		}
		results, err := q.attach(w, own, makesRoom)
		return append(removed, results...), err
	})
}

// uncover takes LXCFS's mounts off the directories that trees go into, and what
// is beside them there.
func (p *Process) uncover(w *work, trees []Tree) ([]Result, error) {
	destinations := make([]string, len(trees))
	for i, t := range trees {
		destinations[i] = t.Destination
	}
	table, err := p.mounts()
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, at := range toUncover(table, destinations) {
		done, err := p.uncoverOne(w, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		if done {
			results = append(results, Result{Destination: at, Action: Removed})
		}
	}
	return results, nil
}

// uncoverOne takes LXCFS's mounts off one place, if any can be seen there.
func (p *Process) uncoverOne(w *work, at string) (done bool, err error) {
	table, err := p.mounts() // anew: what lay in a directory has gone with it
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(table, func(m *mountinfo.Info) bool { return isLXCFS(m) && m.Mountpoint == at }) {
		return false, nil
	}
	s, err := p.look(w, table, at, makesRoom)
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(s.stack, isLXCFS) {
		return false, nil
	}
	if s.yielding == 0 {
		return false, fmt.Errorf("%w: something is mounted over LXCFS's", ErrCovered)
	}
	for _, m := range s.stack[len(s.stack)-s.yielding:] {
		if foreign := foreignBelow(table, m); foreign != nil {
			return false, fmt.Errorf("%w: %s of a file system of type %s is mounted in LXCFS's directory, at %s",
				ErrCovered, foreign.Root, foreign.FSType, foreign.Mountpoint)
		}
	}
	return true, s.popAll()
}

// toUncover are the places that LXCFS's mounts are to be taken off without
// anything of ours in their stead, outer ones first.
func toUncover(table []*mountinfo.Info, destinations []string) []string {
	var places []string
	for _, m := range listed(table, isLXCFS) {
		if m.Fate(destinations) == Removed {
			places = append(places, m.Destination)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// foreignBelow finds a mount somewhere below top that isn't LXCFS's or ours.
func foreignBelow(table []*mountinfo.Info, top *mountinfo.Info) *mountinfo.Info {
	for _, m := range table {
		if m.Parent != top.ID || m.ID == top.ID {
			continue
		}
		if !makesRoom(m) {
			return m
		}
		if f := foreignBelow(table, m); f != nil {
			return f
		}
	}
	return nil
}

func isLXCFS(m *mountinfo.Info) bool { return m.FSType == lxcfsType }

// isWhole says whether m is a shared tree of ours in the place of LXCFS's.
func isWhole(m *mountinfo.Info) bool {
	return m.FSType == FSType && m.Root == "/" && m.Mountpoint == LXCFSTree
}

// makesRoom says whether Replace takes a mount away.
func makesRoom(m *mountinfo.Info) bool { return isLXCFS(m) || isOurs(m) || isWhole(m) }
