// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// Viewer gives a container its views.
type Viewer interface {
	// Views returns the files to place over the container's own. It is called
	// once, when the cgroup exists and init is parked in it. Create closes them.
	Views(ctx context.Context, cg cgroupread.Paths, initPID int) ([]attach.Tree, error)
}

// Config is what a container is made of. It isn't changed.
type Config struct {
	// ID is the container's id, see state.CheckID.
	ID string
	// Spec is its OCI config. Fields that this package can't honour are an
	// error, see Validate.
	//
	// A new time namespace without timeOffsets (nil) starts its clocks at zero,
	// so that uptime and boot time are the container's own; an empty map keeps
	// the host's.
	Spec *specs.Spec
	// Bundle is the directory that relative paths of Spec count from; "" where
	// it has none.
	Bundle string
	// Overlay is mounted by init, in the container's mount namespace, so that
	// nobody else ever sees it. Its directories exist, and its Target is Spec's
	// root. nil where the root is there already.
	Overlay *rootfs.Overlay
	// CgroupPath is as runtime/cgroup takes it ("/procfs-shim/ID").
	CgroupPath string
	Layout     *cgroupread.Layout
	// StateDir is the state directory ("/run/procfs-shim"), Proc the host's
	// procfs ("/proc").
	StateDir, Proc string
	// Entry is the container's entry when the caller has claimed it, to have
	// its own directories recorded before making them. Otherwise nil, and Create
	// claims it. It belongs to the container from then on, also if Create fails.
	Entry *state.Entry
	// Dirs are recorded with an entry that Create claims: directories of this
	// container alone, removed with it.
	Dirs []string
	// Views gives the container its views; nil for none.
	Views Viewer
	// Stdin, Stdout and Stderr become the command's, unless it has a terminal;
	// nil is /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Init puts a PID 1 of ours in front of the command, which passes signals on
	// and reaps orphans.
	Init bool
	// Log takes warnings: what was asked for and can't be granted. nil drops
	// them.
	Log *slog.Logger
	// Clock tells the time of creation; nil is time.Now.
	Clock func() time.Time
}

// check validates c and returns it with defaults filled in, a root path that is
// absolute, and a Spec without nil parts.
func (c Config) check() (Config, error) {
	if err := state.CheckID(c.ID); err != nil {
		return c, err
	}
	switch {
	case c.Layout == nil:
		return c, errors.New("create container: no cgroup layout given")
	case c.Entry == nil && c.StateDir == "":
		return c, errors.New("create container: no state directory given")
	case c.CgroupPath == "":
		return c, errors.New("create container: no cgroup path given")
	case c.Entry != nil && c.Entry.Record().ID != c.ID:
		return c, fmt.Errorf("create container %s: the state entry is that of %s", c.ID, c.Entry.Record().ID)
	}
	if err := Validate(c.Spec); err != nil {
		return c, err
	}
	if c.Proc == "" {
		c.Proc = "/proc"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	spec := *c.Spec
	root := *spec.Root
	spec.Root = &root
	if !filepath.IsAbs(root.Path) {
		root.Path = filepath.Join(c.Bundle, root.Path)
	}
	if !filepath.IsAbs(root.Path) || filepath.Clean(root.Path) == "/" {
		return c, fmt.Errorf("root file system: %q: must be an absolute path, or one below the bundle, and not the host's own root (which an overlay can show)", root.Path)
	}
	if c.Overlay != nil && filepath.Clean(c.Overlay.Target) != filepath.Clean(root.Path) {
		return c, fmt.Errorf("root file system: %s: is not where the overlay is mounted (%s)", root.Path, c.Overlay.Target)
	}
	spec.Mounts = append([]specs.Mount(nil), spec.Mounts...)
	for i, m := range spec.Mounts {
		if isBind(m) && !filepath.IsAbs(m.Source) {
			if c.Bundle == "" {
				return c, fmt.Errorf("mount %s: source %s: not an absolute path", m.Destination, m.Source)
			}
			spec.Mounts[i].Source = filepath.Join(c.Bundle, m.Source)
		}
	}
	c.Spec = &spec
	return c, nil
}

func isBind(m specs.Mount) bool {
	if m.Type == "bind" {
		return true
	}
	for _, o := range m.Options {
		if o == "bind" || o == "rbind" {
			return true
		}
	}
	return false
}
