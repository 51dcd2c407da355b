// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

const targetHelp = `TARGET is a process id (all digits), a cgroup path, the beginning of a container
id (at least 4 characters, as it stands in the cgroup path), or a docker or
podman name. --all means every container of docker, podman, containerd, CRI-O,
LXC and procfs-shim.`

// targetFlags are the flags by which mount and unmount are told which
// containers and which of their files are meant.
type targetFlags struct {
	settings
	all     bool
	exclude []string
	files   []string
}

func (t *targetFlags) add(cmd *cobra.Command) {
	t.settings.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&t.all, "all", false, "every container of docker, podman, containerd, CRI-O, LXC and procfs-shim")
	f.StringArrayVar(&t.exclude, "exclude", nil, "with --all: not this `TARGET` (can be repeated)")
	f.StringArrayVar(&t.files, "file", nil, "only the file `NAME`, its path below /proc or /sys/devices/system (can be repeated)")
}

// check judges the flags.
func (t *targetFlags) check(args []string) error {
	switch {
	case t.all && len(args) > 0:
		return fmt.Errorf("--all and %q: name containers or say --all, not both", args[0])
	case !t.all && len(args) == 0:
		return errors.New("no TARGET: name a container, or say --all")
	case !t.all && len(t.exclude) > 0:
		return errors.New("--exclude goes with --all")
	}
	return nil
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
			failed = append(failed, fmt.Errorf("%s: %w", cover.Label(c), err))
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

// usualFiles are those bound unless something else was said, as far as the host
// has them.
func usualFiles() []string {
	return slices.DeleteFunc(policy.UsualFiles(), func(file string) bool {
		_, err := os.Lstat("/" + file)
		return err != nil
	})
}

// registrar is a client as package cover sees it, with what was chosen for the
// containers that are meant.
type registrar struct {
	client  *daemon.Client
	choices policy.Choices
}

func (r registrar) registration(c discover.Container) daemon.Registration {
	return daemon.Registration{
		ID: c.Key(), Container: policy.Subject{Engine: c.Engine, ID: c.ID, Name: c.Name},
		Cgroup: c.Cgroup, InitPID: c.InitPID, Choices: r.choices,
	}
}

func (r registrar) views(a daemon.Registered, err error) (cover.Views, error) {
	v := cover.Views{Path: a.Path, Files: a.Files, Shared: a.Shared}
	if len(r.choices) > 0 {
		v.Policy = r.choices.String()
	}
	return v, err
}

// Resolve implements cover.Server.
func (r registrar) Resolve(ctx context.Context, c discover.Container) (cover.Views, error) {
	return r.views(r.client.ResolveInit(ctx, r.registration(c)))
}

// Register implements cover.Server.
func (r registrar) Register(ctx context.Context, c discover.Container) (cover.Views, error) {
	return r.views(r.client.RegisterInit(ctx, r.registration(c)))
}

// Unregister implements cover.Server.
func (r registrar) Unregister(ctx context.Context, c discover.Container) error {
	return r.client.UnregisterInit(ctx, c.InitPID)
}
