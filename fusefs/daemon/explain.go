// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/material"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/explain"
)

// explain gives the next part of what a text was made from.
func (c *control) explain(s *session, r wire.Explain) (part []byte, more bool, err error) {
	if r.Offset == 0 {
		m, err := c.material(r)
		if err != nil {
			return nil, false, err
		}
		if s.explained, err = json.Marshal(m); err != nil {
			return nil, false, fmt.Errorf("encode: %w", err)
		}
	}
	part, more, err = wire.Part(s.explained, r.Offset)
	if !more {
		s.explained = nil
	}
	return part, more, err
}

// material asks the tree that has what is asked for.
func (c *control) material(r wire.Explain) (explain.Material, error) {
	e, err := fusefs.Explanation{}, fusefs.ErrNotRegistered
	if r.ID != "" {
		e, err = c.reg.tree.Explain(r.ID, r.File, r.Snapshot)
	}
	unknown := errors.Is(err, fusefs.ErrNotRegistered) || errors.Is(err, fusefs.ErrNoSnapshot)
	if r.Snapshot != 0 && unknown && c.shared != nil {
		if e, err = c.shared(r.Snapshot); err == nil && e.File != r.File {
			err = fmt.Errorf("snapshot %d is of %s: %w", r.Snapshot, e.File, fusefs.ErrNoSnapshot)
		}
	}
	switch {
	case errors.Is(err, fusefs.ErrNotRegistered):
		err = wire.Errorf(wire.CodeGone, "%v", err)
	case errors.Is(err, fusefs.ErrNotServed), errors.Is(err, fusefs.ErrNoSnapshot):
		err = wire.Errorf(wire.CodeInvalid, "%v", err)
	}
	return material.Of(e, r.Snapshot != 0), err
}

// Explain gives a text and what it was made from: of the container with this id, or
// with "" of a reader of the shared tree, and with a snapshot ID what an open file
// holds. One call at a time: the answer comes in parts. Errors of the server are
// *Error: wire.CodeGone when it doesn't know the container, wire.CodeInvalid when
// no such file is served or no open file holds the snapshot.
func (c *Client) Explain(ctx context.Context, id, file string, snapshot uint64) (*explain.Material, error) {
	r := wire.Explain{ID: id, File: file, Snapshot: snapshot}
	var text []byte
	for {
		r.Offset = len(text)
		a, err := c.call(ctx, wire.Request{Op: wire.OpExplain, Explain: &r})
		if err != nil {
			return nil, err
		}
		text = append(text, a.Part...)
		if !a.More {
			break
		}
		if len(a.Part) == 0 {
			return nil, errIncomplete
		}
	}
	m := new(explain.Material)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("control socket: explain: %w", err)
	}
	return m, nil
}

// ExplainInit is Explain for the container with this init process. The error is
// wire.CodeGone if it isn't registered and no snapshot is asked for.
func (c *Client) ExplainInit(ctx context.Context, pid int, file string, snapshot uint64) (*explain.Material, error) {
	known, err := c.byInit(ctx, pid)
	if err != nil {
		return nil, err
	}
	id := ""
	if len(known) > 0 {
		id = known[0].ID
	} else if snapshot == 0 {
		return nil, wire.Errorf(wire.CodeGone, "the container with init process %d: %v", pid, fusefs.ErrNotRegistered)
	}
	return c.Explain(ctx, id, file, snapshot)
}
