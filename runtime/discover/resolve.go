// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

var (
	// ErrUnknown says that nothing on the host is what was asked for.
	ErrUnknown = errors.New("no such container")
	// ErrAmbiguous says that more than one container is.
	ErrAmbiguous = errors.New("ambiguous")
)

// minPrefix is the least that is taken for the beginning of an ID: two digits
// would be right by chance too often.
const minPrefix = 4

// mostListed bounds the list of containers in an error.
const mostListed = 20

// Resolve finds one container by what a user wrote: a PID (all digits: the
// container that the process is in, or the process itself if it is in none of a
// known engine), a cgroup path (with a slash; of a container, of something
// inside it, or of no known engine), an ID, the beginning of an ID (4 characters
// or more), or a name. ErrUnknown and ErrAmbiguous list what there is.
func (f *Finder) Resolve(target string) (Container, error) {
	all, err := f.All()
	if err != nil {
		return Container{}, err
	}
	return f.ResolveAmong(all, target)
}

// ResolveAmong is Resolve with a list that All returned: several targets cost
// one pass over /proc.
func (f *Finder) ResolveAmong(all []Container, target string) (Container, error) {
	switch {
	case target != "" && strings.Trim(target, "0123456789") == "":
		return f.byPID(all, target)
	case strings.Contains(target, "/"):
		return f.byCgroup(all, target)
	}
	var exact, begins []Container
	for _, c := range all {
		switch {
		case c.ID == target || c.Name == target && target != "":
			exact = append(exact, c)
		case len(target) >= minPrefix && strings.HasPrefix(c.ID, target):
			begins = append(begins, c)
		}
	}
	if len(exact) > 0 {
		begins = exact
	}
	switch len(begins) {
	case 1:
		return begins[0], nil
	case 0:
		return Container{}, unknown(all, target)
	default:
		return Container{}, fmt.Errorf("container %q: %w: it is %s", target, ErrAmbiguous, list(begins))
	}
}

func unknown(all []Container, target string) error {
	if len(all) == 0 {
		return fmt.Errorf("container %q: %w: none of docker, podman, containerd, CRI-O, LXC or procfs-shim is running", target, ErrUnknown)
	}
	return fmt.Errorf("container %q: %w: found %s", target, ErrUnknown, list(all))
}

func list(all []Container) string {
	var s []string
	for i, c := range all {
		if i == mostListed {
			s = append(s, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		s = append(s, c.String())
	}
	return strings.Join(s, ", ")
}

func (f *Finder) byPID(all []Container, target string) (Container, error) {
	pid, err := strconv.Atoi(target)
	if err != nil || pid == 0 {
		return Container{}, fmt.Errorf("process %s: %w: all digits is a PID", target, ErrUnknown)
	}
	p, err := f.process(pid)
	if err != nil {
		return Container{}, fmt.Errorf("%w: %w: all digits is a PID", ErrUnknown, err)
	}
	if p.tgid != 0 && p.tgid != pid {
		return Container{}, fmt.Errorf("process %d: %w: it is a thread of process %d", pid, ErrUnknown, p.tgid)
	}
	paths, err := f.layout.OfProcess(f.roots.Proc, pid)
	if err != nil {
		return Container{}, fmt.Errorf("process %d: %w", pid, err)
	}
	for _, c := range all {
		if c.holds(pid) {
			return c, nil
		}
	}
	return Container{
		ID: "pid-" + target, InitPID: pid, StartTime: p.start, PIDs: []int{pid},
		Cgroup: paths.TrimInitScope(), top: f.anyPath(paths),
	}, nil
}

func (c Container) holds(pid int) bool {
	for _, p := range c.PIDs {
		if p == pid {
			return true
		}
	}
	return false
}

func (f *Finder) byCgroup(all []Container, target string) (Container, error) {
	paths, err := f.layout.OfDir(target)
	if errors.Is(err, fs.ErrNotExist) {
		return Container{}, fmt.Errorf("%w: %w", unknown(all, target), err)
	}
	if err != nil {
		return Container{}, fmt.Errorf("container: %w", err)
	}
	wanted := f.anyPath(paths)
	if wanted == "/" {
		return Container{}, fmt.Errorf("cgroup %s: %w: the root cgroup holds the whole host", target, ErrUnknown)
	}
	var below []Container
	for _, c := range all {
		switch {
		case wanted == c.top || strings.HasPrefix(wanted, c.top+"/"):
			return c, nil
		case strings.HasPrefix(c.top, wanted+"/"):
			below = append(below, c)
		}
	}
	if len(below) > 0 {
		return Container{}, fmt.Errorf("cgroup %s: %w: it holds %s", target, ErrAmbiguous, list(below))
	}
	return f.plain(paths, wanted)
}

// plain makes a container of a cgroup that no known engine made.
func (f *Finder) plain(paths cgroupread.Paths, wanted string) (Container, error) {
	pids, err := f.pids()
	if err != nil {
		return Container{}, err
	}
	c := Container{ID: path.Base(wanted), Cgroup: paths.TrimInitScope(), top: wanted}
	var members []process
	for _, pid := range pids {
		theirs, err := f.layout.OfProcess(f.roots.Proc, pid)
		if err != nil || !f.isIn(theirs, wanted) {
			continue
		}
		if p, err := f.process(pid); err == nil {
			members = append(members, p)
			c.PIDs = append(c.PIDs, pid)
		}
	}
	first, ok := f.initOf(members)
	if !ok {
		return Container{}, fmt.Errorf("cgroup %s: %w: no process is in it", wanted, ErrUnknown)
	}
	c.InitPID, c.StartTime = first.pid, first.start
	return c, nil
}

// isIn tells whether any of a process' paths is the cgroup or below it. The
// others don't count: a hierarchy in which nobody made the cgroup has the whole
// host in its place.
func (f *Finder) isIn(p cgroupread.Paths, wanted string) bool {
	for _, controller := range append(f.controllers(), "") {
		if path, ok := p.Path(controller); ok && (path == wanted || strings.HasPrefix(path, wanted+"/")) {
			return true
		}
	}
	return false
}

// anyPath is the longest of the paths: on v1 a cgroup that a user names needn't
// be in every hierarchy.
func (f *Finder) anyPath(p cgroupread.Paths) string {
	deepest := "/"
	for _, controller := range append(f.controllers(), "") {
		if path, ok := p.Path(controller); ok && len(path) > len(deepest) {
			deepest = path
		}
	}
	return deepest
}
