// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

const targetHelp = `TARGET is a process id (all digits), a cgroup path, the beginning of a container
id (at least 4 characters, as it stands in the cgroup path), or a docker or
podman name. --all means every container of docker, podman, containerd, CRI-O,
LXC and procfs-shim.`

// targetFlags are the flags by which mount and unmount are told which
// containers and which of their files are meant.
type targetFlags struct {
	stateDir string
	all      bool
	exclude  []string
	files    []string
}

func (t *targetFlags) add(cmd *cobra.Command) {
	addStateDirFlag(cmd, &t.stateDir)
	f := cmd.Flags()
	f.BoolVar(&t.all, "all", false, "every container of docker, podman, containerd, CRI-O, LXC and procfs-shim")
	f.StringArrayVar(&t.exclude, "exclude", nil, "with --all: not this `TARGET` (can be repeated)")
	f.StringArrayVar(&t.files, "file", nil, "only the file `NAME`, its path below /proc or /sys/devices/system (can be repeated)")
}

// check gives the served files that are meant, as paths below a tree.
func (t *targetFlags) check(args []string) ([]string, error) {
	switch {
	case t.all && len(args) > 0:
		return nil, fmt.Errorf("--all and %q: name containers or say --all, not both", args[0])
	case !t.all && len(args) == 0:
		return nil, errors.New("no TARGET: name a container, or say --all")
	case !t.all && len(t.exclude) > 0:
		return nil, errors.New("--exclude goes with --all")
	}
	return selectFiles(t.files)
}

// each does one thing to every container that is meant. Nothing is done when
// one of them is unknown or ambiguous; what fails for one later is said and
// doesn't keep the others from theirs.
func (t *targetFlags) each(args []string, do func(*discover.Finder, discover.Container) error) error {
	finder, err := newFinder()
	if err != nil {
		return err
	}
	containers, err := t.resolve(finder, args)
	if err != nil {
		return err
	}
	var failed []error
	for _, c := range containers {
		if err := do(finder, c); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", label(c), err))
		}
	}
	return errors.Join(failed...)
}

func (t *targetFlags) resolve(finder *discover.Finder, args []string) ([]discover.Container, error) {
	all, err := finder.All()
	if err != nil {
		return nil, err
	}
	if !t.all {
		return resolveEach(finder, all, args)
	}
	excluded, err := resolveEach(finder, all, t.exclude)
	if err != nil {
		return nil, fmt.Errorf("--exclude: %w", err)
	}
	return slices.DeleteFunc(all, func(c discover.Container) bool {
		return slices.ContainsFunc(excluded, func(e discover.Container) bool { return e.Key() == c.Key() })
	}), nil
}

func resolveEach(finder *discover.Finder, all []discover.Container, targets []string) ([]discover.Container, error) {
	var found []discover.Container
	for _, target := range targets {
		c, err := finder.ResolveAmong(all, target)
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, nil
}

func newFinder() (*discover.Finder, error) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return nil, err
	}
	return discover.New(layout, discover.DefaultRoots().WithDockerHost(os.Getenv("DOCKER_HOST"))), nil
}

// label names a container as its user does; ids are cut as docker cuts them.
func label(c discover.Container) string {
	if c.Name != "" && c.Name != c.ID {
		return c.Name
	}
	if len(c.ID) == 64 {
		return c.ID[:12]
	}
	return c.ID
}

// selectFiles turns the names after --file into paths of the table of served
// files; without any, it is those that are bound by default.
func selectFiles(names []string) ([]string, error) {
	var selected, known []string
	byName := make(map[string]string)
	for _, f := range fusefs.Files() {
		name := strings.TrimPrefix(strings.TrimPrefix(f.Path, "proc/"), "sys/devices/system/")
		byName[name] = f.Path
		known = append(known, name)
		if f.BindByDefault {
			selected = append(selected, f.Path)
		}
	}
	if len(names) == 0 {
		return selected, nil
	}
	selected = nil
	for _, name := range names {
		p, ok := byName[path.Clean(name)]
		if !ok {
			return nil, fmt.Errorf("--file: %q is not served; these are: %s", name, strings.Join(known, ", "))
		}
		selected = append(selected, p)
	}
	return selected, nil
}

// allFiles are the paths of all served files below a tree.
func allFiles() []string {
	var all []string
	for _, f := range fusefs.Files() {
		all = append(all, f.Path)
	}
	return all
}

// coveredFiles are the files of a process that lie below ours. Files of the
// shared tree that an engine bound there, and the trees themselves in a process
// that copied the host's mounts, don't count.
func coveredFiles(pid int) ([]attach.Mounted, error) {
	mounted, err := attach.List("/proc", pid)
	return slices.DeleteFunc(mounted, func(m attach.Mounted) bool {
		return m.Shared || !slices.ContainsFunc(fusefs.Files(), func(f fusefs.File) bool { return "/"+f.Path == m.Destination })
	}), err
}

func destinations(files []string) []string {
	var d []string
	for _, f := range files {
		d = append(d, "/"+f)
	}
	return d
}

func coversProc(files []string) bool {
	return slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, "proc/") })
}
