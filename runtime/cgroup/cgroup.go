// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup/devices"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup/translate"
)

// Parent is where procfs-shim keeps its containers' cgroups, in every
// hierarchy. It is made with the first container and removed with the last.
const Parent = "/procfs-shim"

// Cgroup is one container's cgroup in every hierarchy of the host.
type Cgroup struct {
	host  Host
	path  string // below each mountpoint, such as "/procfs-shim/ID"
	paths cgroupread.Paths
	sys   system
	made  []string // directories that Create made, outermost first
}

// system is how cgroup file systems are changed; tests have one that makes the
// files of a new cgroup, as the kernel does.
type system struct {
	mkdir func(dir string) error
	rmdir func(dir string) error
	write func(file, value string) error
	// limitDevices attaches a program to a directory of cgroup2.
	limitDevices func(dir string, rules []specs.LinuxDeviceCgroup) error
}

func kernel() system {
	return system{
		mkdir: func(dir string) error { return os.Mkdir(dir, 0o755) },
		rmdir: unix.Rmdir,
		write: writeFile,

		limitDevices: devices.Attach,
	}
}

// Create makes the cgroup path, which is absolute and relative to what the
// mounts show, in every hierarchy and limits it to res; nil is no limit. The
// cgroup may be there already if no process is in it or below it.
//
// res is checked by [Validate] first. On any error what was made is removed.
func Create(layout *cgroupread.Layout, path string, res *specs.LinuxResources) (*Cgroup, error) {
	return create(NewHost(layout), path, res, kernel())
}

func create(host Host, path string, res *specs.LinuxResources, sys system) (*Cgroup, error) {
	if err := Validate(res, host); err != nil {
		return nil, err
	}
	c, err := newCgroup(host, path, sys)
	if err != nil {
		return nil, err
	}
	if err := c.build(res); err != nil {
		if left := c.undo(); left != nil {
			return nil, fmt.Errorf("%w; and not undone: %w", err, left)
		}
		return nil, err
	}
	return c, nil
}

// Open returns a cgroup that is there in at least one hierarchy, such as one
// that a killed run left. Otherwise the error is fs.ErrNotExist.
func Open(layout *cgroupread.Layout, path string) (*Cgroup, error) {
	c, err := newCgroup(NewHost(layout), path, kernel())
	if err != nil {
		return nil, err
	}
	for _, dir := range c.dirs() {
		if st, err := os.Lstat(dir); err == nil && st.IsDir() {
			return c, nil
		}
	}
	return nil, fmt.Errorf("cgroup: %s: %w", path, fs.ErrNotExist)
}

func newCgroup(host Host, name string, sys system) (*Cgroup, error) {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" || strings.ContainsAny(name, "\n\x00") {
		return nil, fmt.Errorf("cgroup: %q: not an absolute, clean path below the root", name)
	}
	if len(host.hierarchies) == 0 {
		return nil, fmt.Errorf("cgroup: %s: %w", name, cgroupread.ErrNoCgroups)
	}
	unified, v1 := "", map[string]string{}
	for _, h := range host.hierarchies {
		at := path.Join(h.Root, name)
		if h.Unified {
			unified = at
			continue
		}
		for _, controller := range h.Controllers {
			v1[controller] = at
		}
	}
	paths, err := cgroupread.NewPaths(unified, v1)
	if err != nil {
		return nil, err
	}
	return &Cgroup{host: host, path: name, paths: paths, sys: sys}, nil
}

// build makes the directories and writes the limits.
func (c *Cgroup) build(res *specs.LinuxResources) error {
	for _, h := range c.host.hierarchies {
		if err := c.makeIn(h); err != nil {
			return err
		}
	}
	if res == nil {
		res = &specs.LinuxResources{}
	}
	// Controllers come first: their files appear with them.
	if err := c.enable(res); err != nil {
		return err
	}
	return c.apply(res)
}

// Update changes the limits of a cgroup with processes in it. Fields that are
// nil stay as they are. Where it fails, the changes before the failed one hold.
func (c *Cgroup) Update(res *specs.LinuxResources) error {
	if err := Validate(res, c.host); err != nil {
		return err
	}
	if res == nil {
		return nil
	}
	return c.apply(res)
}

func (c *Cgroup) apply(res *specs.LinuxResources) error {
	for _, w := range translate.Plan(res, c.host.onV2, c.read) {
		dir, err := c.dir(w.Controller)
		if err != nil {
			return err
		}
		if err := c.sys.write(filepath.Join(dir, w.File), w.Value); err != nil {
			return err
		}
	}
	if len(res.Devices) > 0 && c.host.onV2("devices") {
		return c.sys.limitDevices(c.in(*c.host.of("")), res.Devices)
	}
	return nil
}

// read is the content of one of this cgroup's files, without the newline.
func (c *Cgroup) read(controller, file string) (string, bool) {
	dir, err := c.dir(controller)
	if err != nil {
		return "", false
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		// Some files can be written only; that they are there is what counts.
		return "", exists(dir, file)
	}
	return strings.TrimSuffix(string(text), "\n"), true
}

// dir is the cgroup's directory in the hierarchy of the controller.
func (c *Cgroup) dir(controller string) (string, error) {
	h := c.host.of(controller)
	if h == nil {
		return "", fmt.Errorf("cgroup: %s: %s: %w", c.path, controller, ErrNoController)
	}
	return c.in(*h), nil
}

// in is the cgroup's directory in a hierarchy.
func (c *Cgroup) in(h cgroupread.Hierarchy) string { return filepath.Join(h.Mountpoint, c.path) }

// dirs are its directories in all of them.
func (c *Cgroup) dirs() []string {
	dirs := make([]string, 0, len(c.host.hierarchies))
	for _, h := range c.host.hierarchies {
		dirs = append(dirs, c.in(h))
	}
	return dirs
}

// Paths is the cgroup as /proc/PID/cgroup will name it.
func (c *Cgroup) Paths() cgroupread.Paths { return c.paths }

// Path is the path that Create was given.
func (c *Cgroup) Path() string { return c.path }

// FD opens the directory for clone3(2)'s CLONE_INTO_CGROUP where cgroup2 is the
// only hierarchy; elsewhere it is nil and the process is to Join. The caller
// closes it.
func (c *Cgroup) FD() (*os.File, error) {
	if len(c.host.hierarchies) != 1 || !c.host.hierarchies[0].Unified {
		return nil, nil
	}
	f, err := os.OpenFile(c.in(c.host.hierarchies[0]), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return f, nil
}

// writeFile is one write(2) of value into an existing file.
func writeFile(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = f.WriteString(value)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		return nil
	}
	// The path is in WriteError.
	if pathErr := (*os.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return &WriteError{File: file, Value: value, Err: err}
}
