// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// Mode is how a host divides its controllers between cgroup v1 and v2.
type Mode int

// The modes. The zero value is none of them.
const (
	V1     Mode = iota + 1 // v1 hierarchies, no cgroup2
	Hybrid                 // v1 hierarchies with controllers and a cgroup2 beside them
	V2                     // cgroup2 has every controller; a named v1 hierarchy may be there
)

// String is "v1", "hybrid" or "v2".
func (m Mode) String() string {
	switch m {
	case V1:
		return "v1"
	case Hybrid:
		return "hybrid"
	case V2:
		return "v2"
	}
	return "unknown"
}

// Hierarchy is one mounted tree of cgroups.
type Hierarchy struct {
	// Controllers are v1's, as /proc/PID/cgroup names them ("cpu", "cpuacct",
	// "name=systemd"); on cgroup2 those that its root offers, nil if it
	// doesn't say.
	Controllers []string
	Unified     bool   // cgroup2
	Mountpoint  string // absolute directory
	Root        string // the cgroup that Mountpoint shows
	// TrueRoot says that Root is the hierarchy's own root, which limits nothing.
	// Otherwise it is a level of every chain.
	TrueRoot bool

	tree *branch.Tree
}

// Layout says where each hierarchy is mounted. It doesn't change; make a new
// one when mounts have changed.
type Layout struct {
	mode    Mode
	v1      []*Hierarchy  // in the order of /proc/self/cgroup
	unified *Hierarchy    // nil if cgroup2 isn't mounted
	cache   *branch.Cache // shared by all handles
}

// Detect finds the hierarchies that the calling process sees, from
// procRoot/self/mountinfo and procRoot/self/cgroup. Without any it is
// [ErrNoCgroups].
//
// containerd/cgroups has this too (Mode), but only for the process's own
// /sys/fs/cgroup, once per process, and it looks for the hybrid cgroup2 at one
// fixed place. mountinfo also knows mounts elsewhere and what part of a
// hierarchy they show. A test compares both on the real host.
func Detect(procRoot string, options ...Option) (*Layout, error) {
	cgroupFile := filepath.Join(procRoot, "self/cgroup")
	cgroupText, err := os.ReadFile(cgroupFile)
	if err != nil {
		return nil, fmt.Errorf("detect cgroups: %w", err)
	}
	members, err := parseProcCgroup(cgroupText)
	if err != nil {
		return nil, cgroupfile.AtPath(err, cgroupFile)
	}
	mountFile := filepath.Join(procRoot, "self/mountinfo")
	mountText, err := os.ReadFile(mountFile)
	if err != nil {
		return nil, fmt.Errorf("detect cgroups: %w", err)
	}
	l, err := newLayout(members, mountText)
	if err != nil {
		return nil, fmt.Errorf("detect cgroups: %s: %w", mountFile, err)
	}
	settings := settings{descriptors: defaultDescriptors()}
	for _, option := range options {
		option(&settings)
	}
	l.cache = branch.NewCache(settings.descriptors)
	for _, h := range l.hierarchies() {
		h.probe()
		h.tree = l.cache.Tree(h.Mountpoint, h.Root, h.Unified, h.TrueRoot)
	}
	return l, nil
}

// newLayout chooses a mount for each hierarchy in /proc/self/cgroup.
func newLayout(members []membership, mountText []byte) (*Layout, error) {
	all, err := mountinfo.GetMountsFromReader(bytes.NewReader(mountText), func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, "/"), false // "(unreachable)"
	})
	if err != nil {
		return nil, err
	}
	table := newMountTable(all)
	l := &Layout{}
	withController := false
	for _, m := range members {
		best := table.choose(m.controllers)
		if best == nil {
			continue
		}
		h := &Hierarchy{
			Controllers: m.controllers,
			Unified:     m.controllers == nil,
			Mountpoint:  best.Mountpoint,
			Root:        best.Root,
			TrueRoot:    best.Root == "/",
		}
		if h.Unified {
			l.unified = h
			continue
		}
		l.v1 = append(l.v1, h)
		if !strings.HasPrefix(m.controllers[0], "name=") {
			withController = true
		}
	}
	switch {
	case withController && l.unified != nil:
		l.mode = Hybrid
	case withController:
		l.mode = V1
	case l.unified != nil:
		l.mode = V2
	default:
		return nil, ErrNoCgroups
	}
	return l, nil
}

// mountTable is /proc/self/mountinfo with indexes.
type mountTable struct {
	all      []*mountinfo.Info
	byID     map[int]*mountinfo.Info
	byParent map[int][]*mountinfo.Info
}

func newMountTable(all []*mountinfo.Info) *mountTable {
	t := &mountTable{
		all:      all,
		byID:     make(map[int]*mountinfo.Info, len(all)),
		byParent: make(map[int][]*mountinfo.Info, len(all)),
	}
	for _, m := range all {
		t.byID[m.ID] = m
		t.byParent[m.Parent] = append(t.byParent[m.Parent], m)
	}
	return t
}

// choose is the best of the mounts that show the hierarchy with these v1
// controllers (nil: cgroup2): the one that shows most, then one below
// /sys/fs/cgroup, then the first. nil if there is none, or none that other
// mounts don't hide.
func (t *mountTable) choose(controllers []string) *mountinfo.Info {
	var best *mountinfo.Info
	var bestRank [2]int
	for _, m := range t.all {
		if !shows(m, controllers) || checkPath(m.Root) != nil || t.isCovered(m) {
			continue
		}
		rank := [2]int{strings.Count(strings.TrimSuffix(m.Root, "/"), "/"), 1}
		if strings.Contains(m.Mountpoint, "/sys/fs/cgroup") {
			rank[1] = 0
		}
		if best == nil || slices.Compare(rank[:], bestRank[:]) < 0 {
			best, bestRank = m, rank
		}
	}
	return best
}

// isCovered reports whether m's path leads to another mount: one lies on m
// itself, or, for m or a mount that it hangs below, beside it in the same parent
// on a directory above.
func (t *mountTable) isCovered(m *mountinfo.Info) bool {
	for _, o := range t.byParent[m.ID] {
		if o != m && o.Mountpoint == m.Mountpoint {
			return true
		}
	}
	seen := make(map[int]bool)
	for at := m; at != nil && !seen[at.ID]; at = t.byID[at.Parent] {
		seen[at.ID] = true
		for _, o := range t.byParent[at.Parent] {
			if rel, ok := below(o.Mountpoint, at.Mountpoint); ok && rel != "" && o.ID != at.Parent {
				return true
			}
		}
	}
	return false
}

// shows reports whether m is a mount of the hierarchy with these controllers.
// v1's are among the super block's options, as "cpu,cpuacct" or "name=systemd".
func shows(m *mountinfo.Info, controllers []string) bool {
	if controllers == nil {
		return m.FSType == "cgroup2"
	}
	if m.FSType != "cgroup" {
		return false
	}
	options := strings.Split(m.VFSOptions, ",")
	for _, c := range controllers {
		if !slices.Contains(options, c) {
			return false
		}
	}
	return true
}

// probe looks at what a mount shows: the controllers of a cgroup2, and whether a
// root that reads "/" is a real one. In a cgroup namespace it is a cgroup like
// any other, and has, or lacks, the files that make the difference:
// cgroup.events is in every v2 cgroup but the root, cgroup.sane_behavior and
// release_agent only in v1 roots (kernel/cgroup/{cgroup,cgroup-v1}.c, CFTYPE_NOT_ON_ROOT
// and CFTYPE_ONLY_ON_ROOT).
func (h *Hierarchy) probe() {
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(h.Mountpoint, name))
		return err == nil
	}
	if h.Unified {
		h.TrueRoot = h.TrueRoot && !has("cgroup.events")
		if text, err := os.ReadFile(filepath.Join(h.Mountpoint, "cgroup.controllers")); err == nil {
			h.Controllers = append([]string{}, strings.Fields(string(text))...)
		}
		return
	}
	notRoot := has("cgroup.procs") && !has("cgroup.sane_behavior") && !has("release_agent")
	h.TrueRoot = h.TrueRoot && !notRoot
}

// Mode is the host's mode.
func (l *Layout) Mode() Mode { return l.mode }

// hierarchies are all of them, cgroup2 last.
func (l *Layout) hierarchies() []*Hierarchy {
	all := slices.Clone(l.v1)
	if l.unified != nil {
		all = append(all, l.unified)
	}
	return all
}

// Hierarchies are copies of all that are mounted, cgroup2 last.
func (l *Layout) Hierarchies() []Hierarchy {
	var all []Hierarchy
	for _, h := range l.hierarchies() {
		c := *h
		c.Controllers = slices.Clone(h.Controllers)
		all = append(all, c)
	}
	return all
}

// Hierarchy is the one that has the controller ("memory", "name=systemd"; "" for
// cgroup2). On hybrid a controller is in v1 or, if v1 doesn't have it, in
// cgroup2. [ErrNoController] if none has it.
func (l *Layout) Hierarchy(controller string) (Hierarchy, error) {
	h := l.find(controller)
	if h == nil {
		return Hierarchy{}, fmt.Errorf("cgroup controller: %s: %w", controller, ErrNoController)
	}
	c := *h
	c.Controllers = slices.Clone(h.Controllers)
	return c, nil
}

// find is the hierarchy with the controller, nil if there is none.
func (l *Layout) find(controller string) *Hierarchy {
	for _, h := range l.v1 {
		if slices.Contains(h.Controllers, controller) {
			return h
		}
	}
	u := l.unified
	switch {
	case u == nil, strings.HasPrefix(controller, "name="):
		return nil
	case controller == "", u.Controllers == nil, slices.Contains(u.Controllers, controller):
		return u
	}
	return nil
}

// open opens the branch of a path.
func (h *Hierarchy) open(path string) (*branch.Branch, error) {
	if _, err := h.dir(path); err != nil {
		return nil, err
	}
	return h.tree.Open(path)
}

// dir is the directory of a path in the hierarchy.
func (h *Hierarchy) dir(path string) (string, error) {
	rel, ok := below(h.Root, path)
	if !ok {
		return "", fmt.Errorf("cgroup: %s: %w (%s shows %s)", printable(path), ErrOutside, h.Mountpoint, printable(h.Root))
	}
	return join(h.Mountpoint, rel), nil
}

// path is p's path in the hierarchy.
func (h *Hierarchy) path(p Paths) (string, bool) {
	if h.Unified {
		return p.unified, p.unified != ""
	}
	return p.v1.get(h.Controllers[0])
}

// Dir is the absolute directory of p in the controller's hierarchy, whether it
// exists or not. [ErrNoController], [ErrOutside].
func (l *Layout) Dir(p Paths, controller string) (string, error) {
	h := l.find(controller)
	if h == nil {
		return "", fmt.Errorf("cgroup: %s: %s: %w", p, controller, ErrNoController)
	}
	path, ok := h.path(p)
	if !ok {
		return "", fmt.Errorf("cgroup: %s: it has no path in the hierarchy of %s: %w", p, controller, ErrNoController)
	}
	return h.dir(path)
}
