// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
)

// A container may be known to the server by another id than its user's: as
// `run` called it, or as the process that it was named by before. The calls here
// go by its init process.

// RegisterInit is Register for a container that may be known by another id,
// which it keeps. One that has moved to another cgroup since is registered anew:
// its files would go on showing the old one.
func (c *Client) RegisterInit(ctx context.Context, r Registration) (Registered, error) {
	known, err := c.byInit(ctx, r.InitPID)
	if err != nil {
		return Registered{}, err
	}
	for _, s := range known {
		if s.Cgroup.Equal(r.Cgroup) {
			r.ID = s.ID
			continue
		}
		if err := c.Unregister(ctx, s.ID); err != nil {
			return Registered{}, err
		}
	}
	return c.Register(ctx, r)
}

// ResolveInit says what RegisterInit would answer, less the directory, and
// changes nothing.
func (c *Client) ResolveInit(ctx context.Context, r Registration) (Registered, error) {
	known, err := c.byInit(ctx, r.InitPID)
	if err != nil {
		return Registered{}, err
	}
	for _, s := range known {
		if s.Cgroup.Equal(r.Cgroup) {
			r.ID = s.ID
		}
	}
	a, err := c.call(ctx, wire.Request{Op: wire.OpResolve, Registration: &r})
	if err != nil {
		return Registered{}, err
	}
	if a.Registered == nil {
		return Registered{}, errIncomplete
	}
	return *a.Registered, nil
}

// UnregisterInit ends the registrations of an init process. There may be none;
// one that another connection owns stays, see Unregister.
func (c *Client) UnregisterInit(ctx context.Context, pid int) error {
	known, err := c.byInit(ctx, pid)
	if err != nil {
		return err
	}
	for _, s := range known {
		if err := c.Unregister(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) byInit(ctx context.Context, pid int) ([]Status, error) {
	list, err := c.List(ctx)
	var known []Status
	for _, s := range list {
		if s.InitPID == pid {
			known = append(known, s)
		}
	}
	return known, err
}
