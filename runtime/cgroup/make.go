// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup/translate"
)

// rounds is how often making a path starts over because a parent vanished: the
// last container below Parent removes it, perhaps just now.
const rounds = 100

// makeIn makes every level of the path in one hierarchy.
func (c *Cgroup) makeIn(h cgroupread.Hierarchy) error {
	var err error
	for range rounds {
		if err = c.makeOnce(h); !gone(err) {
			return err
		}
	}
	return err
}

func (c *Cgroup) makeOnce(h cgroupread.Hierarchy) error {
	parent := h.Mountpoint
	isNew := false
	for _, name := range strings.Split(strings.TrimPrefix(c.path, "/"), "/") {
		dir := filepath.Join(parent, name)
		err := c.sys.mkdir(dir)
		isNew = err == nil
		switch {
		case isNew:
			c.made = append(c.made, dir)
		case !errors.Is(err, unix.EEXIST):
			return fmt.Errorf("cgroup: make: %w", err)
		}
		if err := c.prepare(h, parent, dir); err != nil {
			return err
		}
		parent = dir
	}
	if isNew {
		return nil
	}
	switch pids, err := processes(parent); {
	case err != nil:
		return fmt.Errorf("cgroup: %s: %w", parent, err)
	case len(pids) > 0:
		return fmt.Errorf("cgroup: %s: %w: %v", parent, ErrInUse, pids)
	}
	return nil
}

// prepare gives a new v1 level what its controller can't do without.
func (c *Cgroup) prepare(h cgroupread.Hierarchy, parent, dir string) error {
	if h.Unified {
		return nil
	}
	if slices.Contains(h.Controllers, "cpuset") {
		// Empty lists make joining fail with ENOSPC. A level that is there and
		// empty was made by another run that hasn't come to this point yet.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := c.fill(parent, dir, file); err != nil {
				return err
			}
		}
	}
	if slices.Contains(h.Controllers, "memory") {
		// Before Linux 5.11 a cgroup counted only its own processes unless told
		// otherwise; it may be told while it has no children.
		file := filepath.Join(dir, "memory.use_hierarchy")
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == "0" {
			return c.sys.write(file, "1")
		}
	}
	return nil
}

func (c *Cgroup) fill(parent, dir, file string) error {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	if strings.TrimSpace(string(text)) != "" {
		return nil
	}
	text, err = os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return c.sys.write(filepath.Join(dir, file), strings.TrimSpace(string(text)))
}

// enable hands controllers down to the cgroup on cgroup2. Where that is the
// only hierarchy it is every controller there is, as other runtimes do: usage
// is read by whoever shows the container its limits. Those that no limit of
// res needs may be refused (cpu is, as long as a real-time task runs outside
// the root). On a hybrid host only what res needs is touched.
func (c *Cgroup) enable(res *specs.LinuxResources) error {
	h := c.host.of("")
	if h == nil {
		return nil
	}
	var needed []string
	for _, w := range translate.Plan(res, c.host.onV2, nil) {
		if at := c.host.of(w.Controller); at == h && w.Controller != "" && !slices.Contains(needed, w.Controller) {
			needed = append(needed, w.Controller)
		}
	}
	wanted := needed
	if c.host.pure {
		wanted = h.Controllers
	}
	if len(wanted) == 0 {
		return nil
	}
	group, err := unifiedGroup(*h, c.path)
	if err != nil {
		return err
	}
	if group.enable(wanted...) == nil {
		return nil
	}
	for _, controller := range wanted {
		if err := group.enable(controller); err != nil && slices.Contains(needed, controller) {
			return fmt.Errorf("cgroup: enable controller: %w%s", err, hint("", err))
		}
	}
	return nil
}

// undo removes what Create made, the innermost first. Nothing has run in it,
// but another container may have come to live below a parent of ours.
func (c *Cgroup) undo() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	leaves := c.dirs()
	var first error
	for _, dir := range slices.Backward(c.made) {
		remove := c.removeEmpty
		if slices.Contains(leaves, dir) {
			remove = func(dir string) error { return c.removeTree(ctx, dir) }
		}
		if err := remove(dir); err != nil && first == nil {
			first = err
		}
	}
	return first
}
