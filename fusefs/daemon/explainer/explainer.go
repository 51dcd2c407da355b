// SPDX-License-Identifier: Apache-2.0

// Package explainer is what `procfs-shim explain` does once it is known which
// container is meant: it asks the server for a text and what it was made from, or
// has it made in this process, reads the host's file beside it and has package
// explain put both together.
package explainer

import (
	"context"
	"errors"
	"os"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/material"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/ownviews"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/explain"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Target is a container, and the file of it that is to be explained.
type Target struct {
	Label   string // what its user calls it
	Cgroup  cgroupread.Paths
	InitPID int
	Subject policy.Subject
	// OwnDir is the state directory of a container of `run`, "" for others.
	OwnDir string

	File     string // "proc/meminfo"
	Snapshot uint64 // that an open file holds; 0 for a new text
}

// Explain explains the target's file. stateDir is the server's; rules are what its
// configuration file says, for a text that is made here.
func Explain(ctx context.Context, t Target, stateDir string, rules policy.Rules) (*explain.Explanation, error) {
	m, err := t.ask(ctx, stateDir)
	here := t.Snapshot == 0 && nobodyHas(err)
	if here {
		var p view.Policy
		if p, err = t.policy(rules); err == nil {
			m, err = material.Here(t.Cgroup, t.InitPID, t.File, p)
		}
	}
	if err != nil {
		return nil, err
	}
	roots := explain.Roots{Proc: "/proc", Sys: "/sys"}
	text, read := m.HostText(roots)
	if !read {
		if text, err = os.ReadFile("/" + t.File); err != nil {
			text = nil // a host without the file, or without it by now
		}
	}
	e := explain.Of(m, text, roots)
	e.Container, e.Cgroup, e.InitPID = t.Label, t.Cgroup.String(), t.InitPID
	if here {
		e.Notes = append([]string{"no server that can be asked has this container: the text was made here, and what a server " +
			"remembers (CPU times, load averages) begins with it"}, e.Notes...)
	}
	return e, nil
}

// nobodyHas says that no server runs, or none that knows the container.
func nobodyHas(err error) bool {
	var refused *daemon.Error
	return errors.Is(err, daemon.ErrNotRunning) || errors.As(err, &refused) && refused.Code == wire.CodeGone
}

func (t Target) ask(ctx context.Context, stateDir string) (m *explain.Material, err error) {
	client, err := daemon.Dial(stateDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return client.ExplainInit(ctx, t.InitPID, t.File, t.Snapshot)
}

// policy is what a server would have in force for the container: that of the
// container's own server, or what the configuration file says.
func (t Target) policy(rules policy.Rules) (view.Policy, error) {
	if t.OwnDir != "" {
		if own, ok, err := ownviews.Read(t.OwnDir); ok || err != nil {
			return own.Policy, err
		}
	}
	return rules.For(t.Subject, nil).Policy(), nil
}
