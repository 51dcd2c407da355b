// SPDX-License-Identifier: Apache-2.0

// Package crowd makes many cgroups with limits and nothing in them, as a server
// that keeps something for each container finds them on a dense host: that is
// what its memory and the time of its reads are measured with. Their processes
// would cost that server nothing, so there are none.
//
//	/procfs-shim/bench-PID          PID is who made it
//	└─ 00000, 00001, …              one each, in every hierarchy, 64 MiB
package crowd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

const (
	name   = "bench-"
	memory = 64 << 20
)

// Crowd is some number of cgroups.
type Crowd struct {
	layout *cgroupread.Layout
	parent *cgroup.Cgroup
	n      int
}

// New makes a crowd of none, for the process pid, and removes those of processes
// that are gone.
func New(ctx context.Context, layout *cgroupread.Layout, pid int) (*Crowd, error) {
	if err := sweep(ctx, layout); err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	parent, err := cgroup.Create(layout, path.Join(cgroup.Parent, name+strconv.Itoa(pid)), nil)
	if err != nil {
		return nil, err
	}
	return &Crowd{layout: layout, parent: parent}, nil
}

// Grow makes cgroups until there are n, and hands each to do, with a name.
// After an error those that there are stay.
func (c *Crowd) Grow(n int, do func(name string, paths cgroupread.Paths) error) error {
	limit := int64(memory)
	for ; c.n < n; c.n++ {
		member := fmt.Sprintf("%05d", c.n)
		made, err := cgroup.Create(c.layout, path.Join(c.parent.Path(), member), &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})
		if err != nil {
			return err
		}
		if err := do(member, made.Paths()); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes them all. That takes a second for some thousands; without a
// deadline in ctx it has ten.
func (c *Crowd) Remove(ctx context.Context) error { return c.parent.Delete(ctx) }

func sweep(ctx context.Context, layout *cgroupread.Layout) error {
	var failed []error
	for _, h := range layout.Hierarchies() {
		found, err := filepath.Glob(filepath.Join(h.Mountpoint, cgroup.Parent, name+"*"))
		failed = append(failed, err)
		for _, dir := range found {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), name))
			if err != nil || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
				continue // a container of such a name, or somebody's who lives
			}
			left, err := cgroup.Open(layout, path.Join(cgroup.Parent, filepath.Base(dir)))
			if err == nil {
				err = left.Delete(ctx)
			}
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
