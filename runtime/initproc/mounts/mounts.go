// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
)

// CgroupDir is what a mount of type cgroup shows of one hierarchy.
type CgroupDir struct {
	// Name is the directory's name below the mount, the hierarchy's
	// controllers ("cpu,cpuacct", "systemd"); "" when the hierarchy is all
	// there is (v2).
	Name string `json:"name"`
	// Dir is the container's own cgroup in it, on the host.
	Dir string `json:"dir"`
}

// Plan is what a container's mount namespace is made of.
type Plan struct {
	// Spec is the OCI config: Root (an absolute path), Mounts, Process.Cwd and
	// Terminal, and of Linux the devices, sysctls, masked and readonly paths
	// and the root's propagation.
	Spec *specs.Spec
	// Overlay is mounted first, when it isn't nil; its Target is the root.
	Overlay *rootfs.Overlay
	// Cgroups are the hierarchies that a mount of type cgroup shows.
	Cgroups []CgroupDir
	// Views are placed over the container's /proc and /sys.
	Views []attach.Tree
}

// Root is a container's root directory on its way to be that.
type Root struct {
	plan Plan
	dir  *os.File // of the new root, on its own mount
}

// Open takes the calling thread's mount namespace, which is nobody else's,
// apart from the host's and makes the config's root directory a mount of its
// own. Mounts that the host makes from now on are still seen until Pivot, since
// a volume may be asked to follow them (rslave).
func Open(p Plan) (*Root, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, fmt.Errorf("make the host's mounts slaves: %w", err)
	}
	if p.Overlay != nil {
		if err := p.Overlay.Mount(); err != nil {
			return nil, err
		}
	}
	root := p.Spec.Root.Path
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root file system: %s: %w", root, err)
	}
	target := os.NewFile(uintptr(at), root)
	defer func() { _ = target.Close() }()
	fd, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("root file system: %s: bind mount: %w", root, err)
	}
	dir := os.NewFile(uintptr(fd), root) // errors about what lies below show its name
	r := &Root{plan: p, dir: dir}
	if err := attachRoot(dir, target); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("root file system: %s: %w", root, err)
	}
	return r, nil
}

// attachRoot attaches the new root, private with all below it.
func attachRoot(dir, target *os.File) error {
	if err := moveTo(dir, target); err != nil {
		return fmt.Errorf("bind mount: %w", err)
	}
	if err := unix.Mount("", fdPath(dir), "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make it private: %w", err)
	}
	return nil
}

// Close closes the root's descriptor.
func (r *Root) Close() error { return r.dir.Close() }

// Fill makes the config's mounts in their order, the working directory, the
// devices and the standard links.
func (r *Root) Fill() error {
	for _, m := range r.plan.Spec.Mounts {
		if err := r.mount(m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
	}
	if cwd := clean(r.plan.Spec.Process.Cwd); cwd != "/" {
		dir, err := pathrs.MkdirAllHandle(r.dir, cwd, 0o755)
		if err != nil {
			return fmt.Errorf("working directory: %s: %w", cwd, err)
		}
		_ = dir.Close()
	}
	if !r.ownDev() {
		return nil // a bind-mounted /dev is somebody's and complete
	}
	return r.devices()
}

// ownDev says whether /dev is the container's own rather than a bind mount.
func (r *Root) ownDev() bool {
	own := true
	for _, m := range r.plan.Spec.Mounts {
		if clean(m.Destination) == "/dev" {
			o, err := parseOptions(m)
			own = err == nil && !o.bind
		}
	}
	return own
}

func (r *Root) mount(m specs.Mount) error {
	o, err := parseOptions(m)
	if err != nil {
		return err
	}
	switch {
	case o.bind:
		return r.bind(m, o)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return r.cgroups(m, o)
	default:
		return r.filesystem(m, o)
	}
}

func (r *Root) filesystem(m specs.Mount, o options) error {
	target, err := r.openDestination(clean(m.Destination), m.Type, true)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	if m.Type == "tmpfs" && !target.made && !hasKey(o.data, "mode") {
		// A tmpfs without a mode of its own looks like what it covers.
		o.data = append(o.data, fmt.Sprintf("mode=%o", target.stat.Mode&0o7777))
	}
	mount, err := newFilesystem(m.Type, m.Source, o.attrs.set&^unix.MOUNT_ATTR_NOSYMFOLLOW, o.data)
	if err != nil {
		return err
	}
	defer func() { _ = mount.Close() }()
	if err := moveTo(mount, target.File); err != nil {
		return err
	}
	rest := attributes{set: o.attrs.set&unix.MOUNT_ATTR_NOSYMFOLLOW | o.below.set, clear: o.below.clear}
	return change(mount, rest, propagationOf(o))
}

func hasKey(data []string, key string) bool {
	for _, d := range data {
		if strings.HasPrefix(d, key+"=") {
			return true
		}
	}
	return false
}

// propagationOf is private where the config doesn't say.
func propagationOf(o options) uint64 {
	if o.propagation == 0 {
		return unix.MS_PRIVATE | unix.MS_REC
	}
	return o.propagation
}

func (r *Root) bind(m specs.Mount, o options) error {
	mount, err := cloneTree(unix.AT_FDCWD, m.Source, o.recursive)
	if err != nil {
		return fmt.Errorf("source %s: %w", m.Source, err)
	}
	defer func() { _ = mount.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(mount.Fd()), &st); err != nil {
		return fmt.Errorf("source %s: %w", m.Source, err)
	}
	target, err := r.openDestination(clean(m.Destination), m.Type, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	return place(mount, target.File, o)
}

// place attaches a bind mount with its options. Attributes are set while it is
// still detached, so nobody ever sees it without; where the kernel can't do
// that (before 5.12) they follow at once, and this namespace is nobody else's
// yet.
func place(mount, target *os.File, o options) error {
	err := setAttributes(mount, o.attrs, 0, false)
	if err == nil {
		err = setAttributes(mount, o.below, 0, true)
	}
	late := errors.Is(err, unix.ENOSYS)
	if err != nil && !late {
		return fmt.Errorf("set attributes: %w", err)
	}
	if late && !o.below.none() {
		return fmt.Errorf("recursive attributes need Linux 5.12: %w", err)
	}
	if err := moveTo(mount, target); err != nil {
		return err
	}
	if late {
		if err := remount(mount, o.attrs, 0); err != nil {
			return err
		}
	}
	return change(mount, attributes{}, propagationOf(o))
}

// cgroups makes the mount of type cgroup: on v2 the container's own cgroup, on
// v1 a small tmpfs with a directory for each hierarchy and a link for each
// controller of a joint one, as systemd lays them out.
func (r *Root) cgroups(m specs.Mount, o options) error {
	if len(r.plan.Cgroups) == 0 {
		return errors.New("this host has no cgroup hierarchy mounted")
	}
	target, err := r.openDestination(clean(m.Destination), m.Type, true)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	o.data = nil // options such as nsdelegate belong to the host's mount
	if only := r.plan.Cgroups[0]; only.Name == "" {
		return bindCgroup(only, target.File, o)
	}
	if m.Type == "cgroup2" {
		return errors.New("this host has cgroup v1: the config must ask for type cgroup")
	}
	top, err := newFilesystem("tmpfs", "cgroup", o.attrs.set&^unix.MOUNT_ATTR_RDONLY, []string{"mode=755"})
	if err != nil {
		return err
	}
	defer func() { _ = top.Close() }()
	if err := moveTo(top, target.File); err != nil {
		return err
	}
	for _, c := range r.plan.Cgroups {
		if err := hierarchy(top, c, o); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return change(top, attributes{set: o.attrs.set & unix.MOUNT_ATTR_RDONLY}, unix.MS_PRIVATE)
}

func hierarchy(top *os.File, c CgroupDir, o options) error {
	if err := unix.Mkdirat(int(top.Fd()), c.Name, 0o755); err != nil {
		return err
	}
	dir, err := openBelow(top, c.Name, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := bindCgroup(c, dir, o); err != nil {
		return err
	}
	if controllers := strings.Split(c.Name, ","); len(controllers) > 1 {
		for _, controller := range controllers {
			if err := unix.Symlinkat(c.Name, int(top.Fd()), controller); err != nil {
				return err
			}
		}
	}
	return nil
}

func bindCgroup(c CgroupDir, target *os.File, o options) error {
	mount, err := cloneTree(unix.AT_FDCWD, c.Dir, false)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	defer func() { _ = mount.Close() }()
	return place(mount, target, o)
}

// Pivot makes the root directory the calling process's root, detaches the
// host's tree, and applies what concerns the root as a whole. Afterwards the
// working directory is /.
func (r *Root) Pivot() error {
	// pivot_root(2), NOTES: with both the same, the old root ends up stacked on
	// the new one, so the image needs no directory to put it in.
	old, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the old root: %w", err)
	}
	defer func() { _ = unix.Close(old) }()
	if err := unix.Fchdir(int(r.dir.Fd())); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if r.plan.Spec.Root.Readonly {
		if err := change(r.dir, attributes{set: unix.MOUNT_ATTR_RDONLY}, 0); err != nil {
			return fmt.Errorf("make the root read-only: %w", err)
		}
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Fchdir(old); err != nil {
		return fmt.Errorf("enter the old root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if flag := propagationWords[r.plan.Spec.Linux.RootfsPropagation]; flag != 0 {
		if err := unix.Mount("", "/", "", uintptr(flag), ""); err != nil {
			return fmt.Errorf("propagation of the root: %w", err)
		}
	}
	return nil
}

// split gives the directory and the name of a clean path.
func split(p string) (dir, name string) { return path.Dir(p), path.Base(p) }
