// SPDX-License-Identifier: Apache-2.0

// Package material gives what an explanation is made of: a text and its inputs, as
// a tree of views tells them ([Of]), or made in this process for a container that no
// server has ([Here]).
package material

import (
	"errors"
	"log/slog"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/explain"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Of puts what a tree says into the form in which it travels; held says that an open
// file held the snapshot.
func Of(e fusefs.Explanation, held bool) explain.Material {
	m := explain.Material{
		Snapshot: e.Snapshot, Held: held, At: e.At, File: e.File, Text: e.Text, Policy: e.Policy, Instead: e.Hosts,
		Init: explain.Init{PID: e.Init.PID, Start: e.Init.Start, Offset: e.Init.BootOffset, HostPID: e.Init.HostPID},
	}
	for _, in := range e.Inputs {
		m.Inputs = append(m.Inputs, explain.Input{Path: in.Path, Text: in.Text})
	}
	return m
}

// Here makes the text that a server would, in this process: for a container
// that none has. Nothing is mounted and nothing changes. What a server remembers of
// a container begins with this text.
func Here(cgroup cgroupread.Paths, initPID int, file string, p view.Policy) (m *explain.Material, err error) {
	const proc, sys, id = "/proc", "/sys", "explained"
	layout, err := cgroupread.Detect(proc)
	if err != nil {
		return nil, err
	}
	init, err := locate.New(proc, layout).Init(initPID)
	if err != nil {
		return nil, err
	}
	host := fusefs.NewHost(proc, sys, layout, time.Now, slog.New(slog.DiscardHandler))
	defer func() { err = errors.Join(err, host.Close()) }()
	cg, err := layout.Open(cgroup)
	if err != nil {
		return nil, err
	}
	bound := fusefs.NewBound(host)
	if _, err := bound.Add(fusefs.Container{ID: id, Cgroup: cg, Policy: p, Init: init}); err != nil {
		return nil, errors.Join(err, cg.Close())
	}
	defer bound.Remove(id)
	e, err := bound.Explain(id, file, 0)
	if err != nil {
		return nil, err
	}
	here := Of(e, false)
	return &here, nil
}
