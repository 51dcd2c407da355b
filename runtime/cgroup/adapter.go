// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

// This file is all there is of containerd/cgroups: joining on v1 and v2,
// enabling controllers and cgroup.kill on v2. Left aside, with the reason
// (version 3.1.3): its translation of limits (package comment); cgroup1.New and
// cgroup2.NewManager, which don't tell which directories they made; Delete,
// which tries to unlink every file of a cgroup before its directory and, on v1,
// drops the errno; Manager.Kill where there is no cgroup.kill, since it looks
// at the processes once and misses what they fork.

// Join moves the process, with all its threads, into the cgroup in every
// hierarchy. The process is one that waits: after an error it may be in some
// hierarchies and not in others, and is to be killed.
func (c *Cgroup) Join(pid int) error {
	if pid <= 0 {
		return fmt.Errorf("cgroup: join: %s: %d: not a process ID", c.path, pid)
	}
	for _, dir := range c.dirs() {
		// cgroup1.Load passes over a hierarchy that lacks the cgroup, and the
		// process would go without that one's limits.
		if _, err := os.Lstat(dir); err != nil {
			return fmt.Errorf("cgroup: join: %w", err)
		}
	}
	var v1 []cgroup1.Subsystem
	for _, h := range c.host.hierarchies {
		if !h.Unified {
			v1 = append(v1, hierarchyV1(h))
		}
	}
	if len(v1) > 0 {
		group, err := cgroup1.Load(cgroup1.StaticPath(c.path), cgroup1.WithHierarchy(
			func() ([]cgroup1.Subsystem, error) { return v1, nil }))
		if err == nil {
			err = group.AddProc(uint64(pid))
		}
		if err != nil {
			return fmt.Errorf("cgroup: join: %s: process %d: %w%s", c.path, pid, err, hint("", err))
		}
	}
	if h := c.host.of(""); h != nil {
		group, err := unifiedGroup(*h, c.path)
		if err == nil {
			err = group.manager.AddProc(uint64(pid))
		}
		if err != nil {
			return fmt.Errorf("cgroup: join: %s: process %d: %w%s", c.path, pid, err, hint("", err))
		}
	}
	return nil
}

// hierarchyV1 tells containerd/cgroups where a hierarchy is mounted; its own
// types know only one root with a directory for each controller.
type hierarchyV1 cgroupread.Hierarchy

// Name and Path are the library's interface.
func (h hierarchyV1) Name() cgroup1.Name      { return cgroup1.Name(h.Controllers[0]) }
func (h hierarchyV1) Path(path string) string { return filepath.Join(h.Mountpoint, path) }

// group is one cgroup of cgroup2.
type group struct{ manager *cgroup2.Manager }

func unifiedGroup(h cgroupread.Hierarchy, path string) (group, error) {
	m, err := cgroup2.Load(path, cgroup2.WithMountpoint(h.Mountpoint))
	if err != nil {
		return group{}, fmt.Errorf("cgroup: %s: %w", path, err)
	}
	return group{m}, nil
}

// enable hands controllers down from the root to the cgroup's parent.
func (g group) enable(controllers ...string) error {
	return g.manager.ToggleControllers(controllers, cgroup2.Enable)
}

// kill writes cgroup.kill, which is there.
func (g group) kill() error { return g.manager.Kill() }
