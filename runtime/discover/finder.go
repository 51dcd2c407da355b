// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
)

// Roots says where to look.
type Roots struct {
	Proc          string   // the host's procfs
	Docker        []string // dockerd's data roots
	DockerSockets []string // dockerd's API sockets, asked for names that the data roots don't have
	Storage       []string // storage roots of podman and CRI-O
	Containerd    []string // containerd's state directories
}

// DefaultRoots are the engines' own defaults, rootless podman's included.
func DefaultRoots() Roots {
	storage := []string{"/var/lib/containers/storage"}
	// The pattern is a constant: it can't be malformed.
	homes, _ := filepath.Glob("/home/*/.local/share/containers/storage")
	return Roots{
		Proc:          "/proc",
		Docker:        []string{"/var/lib/docker"},
		DockerSockets: []string{"/run/docker.sock"},
		Storage:       append(storage, homes...),
		Containerd:    []string{"/run/containerd", "/run/docker/containerd/daemon", "/run/k3s/containerd"},
	}
}

// WithDockerHost adds the dockerd that host (the form of $DOCKER_HOST) names,
// if that is a socket of this machine.
func (r Roots) WithDockerHost(host string) Roots {
	if socket, ok := strings.CutPrefix(host, "unix://"); ok {
		r.DockerSockets = append(slices.Clone(r.DockerSockets), socket)
	}
	return r
}

// Container is one running container, or what stands for one.
type Container struct {
	// ID is what the engine calls it, as it stands in the cgroup's path: 64
	// hexadecimal digits, or a name. A process or cgroup of no engine that was
	// asked for has "pid-N" or the last component of its cgroup's path.
	ID string
	// Name is what the user called it; "" if it has none or it can't be had.
	Name string
	// Engine is one of the package's constants, or "" for a process or cgroup
	// that no engine is known to have started.
	Engine string
	// Namespace is containerd's ("default", "k8s.io"); "" elsewhere.
	Namespace string
	// InitPID is its init process, as Roots.Proc numbers it.
	InitPID int
	// StartTime is when that was started, in ticks after boot: with the PID, it
	// names the process.
	StartTime uint64
	// Cgroup is the outermost one that is the container's own.
	Cgroup cgroupread.Paths
	// PIDs are all its processes', ascending.
	PIDs []int

	top string // path that carries the ID
}

// Key names the container among all of a host, as one file name: two of them
// differ also where engines, namespaces or users gave the same ID.
func (c Container) Key() string {
	if isLongID(c.ID) || c.Engine == "" && strings.HasPrefix(c.ID, "pid-") {
		return c.ID
	}
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, c.ID)
	h := fnv.New32a()
	h.Write([]byte(c.top))
	return fmt.Sprintf("%s-%.64s-%08x", cmp.Or(c.Engine, "cgroup"), name, h.Sum32())
}

// String is the container for messages: "docker 0123456789ab (web)".
func (c Container) String() string {
	id := c.ID
	if isLongID(id) {
		id = id[:12]
	}
	if c.Engine != "" {
		id = c.Engine + " " + id
	}
	if c.Name != "" && c.Name != c.ID {
		id += " (" + c.Name + ")"
	}
	return id
}

// Finder finds containers. It may be shared.
type Finder struct {
	layout *cgroupread.Layout
	roots  Roots
}

// New returns a Finder for the host that layout describes.
func New(layout *cgroupread.Layout, roots Roots) *Finder {
	return &Finder{layout: layout, roots: roots}
}

// group is a container while its processes are collected.
type group struct {
	found
	pids []int
}

// All returns the running containers, sorted by engine, name and ID.
func (f *Finder) All() ([]Container, error) {
	pids, err := f.pids()
	if err != nil {
		return nil, err
	}
	known := f.containerdIDs(pids)
	groups := map[string]*group{}
	for _, pid := range pids {
		paths, err := f.layout.OfProcess(f.roots.Proc, pid)
		if err != nil {
			continue // it ended, or is a zombie in a cgroup that was removed
		}
		m, ok := f.matchPaths(paths, known)
		if !ok {
			continue
		}
		g := groups[m.top]
		if g == nil {
			g = &group{found: m}
			groups[m.top] = g
		}
		g.pids = append(g.pids, pid)
	}
	var all []Container
	for _, g := range groups {
		if c, ok := f.container(g, known); ok {
			all = append(all, c)
		}
	}
	f.nameAll(all)
	slices.SortFunc(all, func(a, b Container) int {
		return cmp.Or(cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID), cmp.Compare(a.top, b.top))
	})
	return all, nil
}

// pids are all processes', ascending.
func (f *Finder) pids() ([]int, error) {
	entries, err := os.ReadDir(f.roots.Proc)
	if err != nil {
		return nil, fmt.Errorf("find containers: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// matchPaths looks for an ID in the hierarchies that decide most about a view
// first: engines leave a process where it was in hierarchies they don't use.
func (f *Finder) matchPaths(p cgroupread.Paths, known func(string, string) bool) (found, bool) {
	seen := map[string]bool{}
	for _, controller := range append([]string{"memory", "cpu", "cpuset", ""}, f.controllers()...) {
		path, ok := p.Path(controller)
		if !ok || seen[path] {
			continue
		}
		seen[path] = true
		if m, ok := match(path, known); ok {
			return m, true
		}
	}
	return found{}, false
}

// controllers are those of the v1 hierarchies.
func (f *Finder) controllers() []string {
	var all []string
	for _, h := range f.layout.Hierarchies() {
		if !h.Unified {
			all = append(all, h.Controllers...)
		}
	}
	return all
}

// container makes a container of a group: its init, its cgroup, the engine that
// a witness names. ok is false where everything has ended meanwhile and where
// nobody confirms that it is one.
func (f *Finder) container(g *group, known func(namespace, id string) bool) (Container, bool) {
	c := Container{ID: g.id, Engine: g.engine, Namespace: g.namespace, top: g.top}
	var members []process
	for _, pid := range g.pids {
		if p, err := f.process(pid); err == nil {
			members = append(members, p)
			c.PIDs = append(c.PIDs, pid)
		}
	}
	first, ok := f.initOf(members)
	if !ok {
		return c, false
	}
	if c.Engine == "" {
		if c.Engine, c.Namespace = f.witness(g.id, first, known); c.Engine == "" {
			return c, false
		}
	}
	c.InitPID, c.StartTime = first.pid, first.start
	if c.Engine == LXC {
		c.Name = f.lxcName(c.ID, first)
	}
	paths, err := f.layout.OfProcess(f.roots.Proc, first.pid)
	if err == nil {
		c.Cgroup, err = f.cut(paths, g.top, g.id)
	}
	return c, err == nil
}

// cut shortens the paths of a process to the container's own: in each
// hierarchy down to the component with the ID.
func (f *Finder) cut(p cgroupread.Paths, top, id string) (cgroupread.Paths, error) {
	shorten := func(path string) string {
		if path == top || strings.HasPrefix(path, top+"/") {
			return top
		}
		// Another hierarchy may have the same ID in another place.
		if m, ok := match(path, func(_, other string) bool { return other == id }); ok && m.id == id {
			return m.top
		}
		return path
	}
	v1 := map[string]string{}
	for _, controller := range f.controllers() {
		if path, ok := p.Path(controller); ok {
			v1[controller] = shorten(path)
		}
	}
	unified := ""
	for _, h := range f.layout.Hierarchies() {
		if path, ok := p.Path(""); h.Unified && ok {
			unified = shorten(path)
		}
	}
	if len(v1) == 0 {
		v1 = nil
	}
	paths, err := cgroupread.NewPaths(unified, v1)
	if err != nil {
		return paths, fmt.Errorf("cgroup of container %s: %w", id, err)
	}
	return paths, nil
}

// Same tells whether a container that was found before still has the same init
// process in the same cgroup; the error says what became of it, and matches
// attach.ErrGone where the process has ended. Ask while
// holding the process (attach.Open), and the answer stays true.
func (f *Finder) Same(c Container) error {
	start, err := f.startTime(c.InitPID)
	if err != nil {
		return fmt.Errorf("container %s: %w", c, err)
	}
	if start != c.StartTime {
		return fmt.Errorf("container %s: init process %d: %w: the number is another process' now", c, c.InitPID, attach.ErrGone)
	}
	paths, err := f.layout.OfProcess(f.roots.Proc, c.InitPID)
	if err != nil {
		return fmt.Errorf("container %s: %w", c, err)
	}
	if !c.Cgroup.Contains(paths) {
		return fmt.Errorf("container %s: init process %d: %w", c, c.InitPID, errors.New("it moved to cgroup "+paths.String()))
	}
	return nil
}
