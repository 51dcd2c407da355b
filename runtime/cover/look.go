// SPDX-License-Identifier: Apache-2.0

package cover

import (
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// The states of a container.
const (
	Healthy   = "healthy"   // all of its files are served
	Stale     = "stale"     // a file is left from a server that is gone, or hidden
	Uncovered = "uncovered" // it has none
)

// State is what a container has.
type State struct {
	State string   // one of the constants
	Files []string // the destinations that are covered
	// Coverage is what the views can't reach.
	discover.Coverage
	// NestingLost says that rootless containers inside could mount a /proc of
	// their own if the views weren't there.
	NestingLost bool
}

// Look tells what a container has. served are the file systems that a running
// server serves; nil where nobody can tell, and every file counts as served. The
// error is attach.ErrGone when the container has ended.
func (v Coverer) Look(c discover.Container, served []attach.Device) (State, error) {
	s := State{State: Uncovered, Files: []string{}}
	mounted, err := v.Covered(c.InitPID)
	if err != nil || len(mounted) == 0 {
		return s, err
	}
	s.State = Healthy
	for _, m := range mounted {
		s.Files = append(s.Files, m.Destination)
		if served != nil && !m.Healthy(served...) || m.Covered {
			s.State = Stale
		}
	}
	fresh, err := attach.ReadFreshProc("/proc", c.InitPID)
	if err != nil {
		return s, err
	}
	s.NestingLost = fresh.Lost()
	s.Coverage, err = v.Finder.Coverage(c, s.Files)
	return s, err
}
