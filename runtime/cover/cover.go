// SPDX-License-Identifier: Apache-2.0

// Package cover gives running containers their views, takes them away, and tells
// what they have. It joins package discover (which containers there are) with
// package attach (what is mounted in one).
//
// The files come from a server, which this package knows as a [Server] alone: it
// registers a container and is told where its files are and which of them belong
// over the container's own.
//
// # Vocabulary
//
//   - A served file is named by its path below a view,
//     "proc/meminfo"; it lies over its destination, "/proc/meminfo".
//   - A container is covered as far as such files lie in its mount namespace.
//     Files of the shared tree that an engine bound there aren't ours to count,
//     nor is the tree itself in a process that copied the host's mounts.
//
// Every act first holds the container's init process and then asks whether it
// is still the one that was found, so that nobody else can get its files.
package cover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// Views are what a server has for a container.
type Views struct {
	// Path is where a file of its is; nil as long as it isn't registered.
	Path   func(file string) string
	Files  []string // those that belong over its own
	Shared string   // where the shared tree is mounted
	Policy string   // how it is shown, if that is to be reported; "" if not
}

// Server is what registers containers.
type Server interface {
	// Resolve says what Register would, and changes nothing.
	Resolve(context.Context, discover.Container) (Views, error)
	// Register makes a container known, with what is to be chosen for it. On one
	// that is known it changes nothing else.
	Register(context.Context, discover.Container) (Views, error)
	// Unregister ends that; a container that isn't known is no error.
	Unregister(context.Context, discover.Container) error
}

// Coverer covers and uncovers containers.
type Coverer struct {
	Finder *discover.Finder
	// Server may be nil for Uncover and Look.
	Server Server
	// Served are all files that a server can have, Usual those that lie over a
	// container's unless something else was said.
	Served, Usual []string
	// Out is told what was done, a line for each file: container, destination,
	// action, with tabs between. Warn is told what a container loses.
	Out, Warn io.Writer
}

// Wish says what a container is to be covered with.
type Wish struct {
	// Files are named one by one; nil means those that the server names.
	Files []string
	// Exact takes away our files over others.
	Exact bool
	// ReplaceLXCFS takes LXCFS's files away where ours come, and covers what it
	// covers besides, unless Files or Exact say what is wanted.
	ReplaceLXCFS bool
	// OnlyLXCFS leaves containers alone that have none of those.
	OnlyLXCFS bool
	// DryRun says what would be done, and does nothing.
	DryRun bool
}

// Label names a container as its user does; ids are cut as docker cuts them.
func Label(c discover.Container) string {
	if c.Name != "" && c.Name != c.ID {
		return c.Name
	}
	if len(c.ID) == 64 {
		return c.ID[:12]
	}
	return c.ID
}

// hold gives the container's init process, which is still what was found.
func (v Coverer) hold(c discover.Container) (*attach.Process, error) {
	process, err := attach.Open("/proc", c.InitPID)
	if err != nil {
		return nil, err
	}
	if err := v.Finder.Same(c); err != nil {
		return nil, errors.Join(err, process.Close())
	}
	return process, nil
}

// Covered are our files in the mount namespace of a process.
func (v Coverer) Covered(pid int) ([]attach.Mounted, error) {
	mounted, err := attach.List("/proc", pid)
	return slices.DeleteFunc(mounted, func(m attach.Mounted) bool {
		return m.Shared || !slices.Contains(v.Served, strings.TrimPrefix(m.Destination, "/"))
	}), err
}

// Cover registers one container with the server and covers its files; what was
// done is undone when that fails.
func (v Coverer) Cover(ctx context.Context, c discover.Container, w Wish) error {
	process, err := v.hold(c)
	if err != nil {
		return err
	}
	defer process.Close() //nolint:errcheck // it was only looked at
	before, err := v.Covered(c.InitPID)
	if err != nil {
		return err
	}
	views, err := v.Server.Resolve(ctx, c)
	if err != nil {
		return err
	}
	files := w.Files
	if files == nil {
		files = views.Files
	}
	var theirs []attach.Mounted
	if w.ReplaceLXCFS {
		if theirs, err = attach.LXCFS("/proc", c.InitPID); err != nil {
			return err
		}
		if w.Files == nil && !w.Exact {
			files = attach.WithCovered(files, v.Served, theirs)
		}
		if w.OnlyLXCFS && !attach.Touches(theirs, Destinations(files)) {
			return nil
		}
	}
	job := job{Coverer: v, wish: w, container: c, process: process, files: files, before: before, theirs: theirs}
	if err := job.warnOfNesting(); err != nil {
		return err
	}
	if w.DryRun {
		job.foretell(views)
		return nil
	}
	return job.do(ctx)
}

// Uncover takes the files off one container and, when none of ours is left there,
// ends its registration. nil stands for all of ours; then the usual ones are
// spoken of even where they weren't.
func (v Coverer) Uncover(ctx context.Context, c discover.Container, files []string) error {
	process, err := v.hold(c)
	if err != nil {
		return err
	}
	defer process.Close() //nolint:errcheck // it was only looked at
	destinations := Destinations(files)
	if files == nil {
		if destinations, err = v.oursOrUsual(c.InitPID); err != nil {
			return err
		}
	}
	results, err := process.Detach(ctx, destinations)
	if err != nil {
		return err
	}
	v.tell(c, results)
	left, err := v.Covered(c.InitPID)
	if err != nil || v.Server == nil || len(left) > 0 {
		return err
	}
	return v.Server.Unregister(ctx, c)
}

// oursOrUsual are the destinations of ours in a process, and the usual ones.
func (v Coverer) oursOrUsual(pid int) ([]string, error) {
	destinations := Destinations(v.Usual)
	covered, err := v.Covered(pid)
	for _, m := range covered {
		if !slices.Contains(destinations, m.Destination) {
			destinations = append(destinations, m.Destination)
		}
	}
	return destinations, err
}

func (v Coverer) tell(c discover.Container, results []attach.Result) {
	for _, r := range results {
		v.say(c, r.Destination, r.Action)
	}
}

// say writes a line. That it can't be written is no reason to leave a container
// half done.
func (v Coverer) say(c discover.Container, what string, happened any) {
	fmt.Fprintf(v.Out, "%s\t%s\t%v\n", Label(c), what, happened) //nolint:errcheck // see above
}

// Destinations are where files lie in a container.
func Destinations(files []string) []string {
	var d []string
	for _, f := range files {
		d = append(d, "/"+f)
	}
	return d
}
