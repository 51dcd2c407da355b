// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/ownviews"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/report"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

func newStatusCommand() *cobra.Command {
	var s settings
	var output report.Format
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the containers of this host and their views",
		Long: `status lists the running containers of all engines: which files of theirs are
covered, and whether they are served (healthy), left from a server that is gone
(stale; 'procfs-shim mount' mends it), or not there (uncovered), and where its
policy differs from the server's default. Below the table it says what the views
can't reach (processes inside that have a /proc of their own, files that were
opened before), failed reads by cause, and which server runs. --output json has
more; docs/STATUS.md describes both.`,
		Example: `  procfs-shim status
  procfs-shim status --output json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireRoot("status"); err != nil {
				return err
			}
			if err := s.find(); err != nil {
				return err
			}
			r, err := readStatus(cmd.Context(), s.stateDir)
			if err != nil {
				return err
			}
			if output.JSON() {
				return r.WriteJSON(cmd.OutOrStdout())
			}
			return r.WriteTable(cmd.OutOrStdout())
		},
	}
	s.add(cmd)
	cmd.Flags().Var(&output, "output", "table or json")
	return cmd
}

func readStatus(ctx context.Context, stateDir string) (*report.Report, error) {
	finder, err := newFinder()
	if err != nil {
		return nil, err
	}
	server, registered, served, err := askServer(ctx, stateDir)
	if err != nil {
		return nil, err
	}
	all, err := finder.All()
	if err != nil {
		return nil, err
	}
	r := report.New(time.Now(), server)
	v := cover.Coverer{Finder: finder, Served: policy.AllFiles()}
	for _, c := range withRegistered(all, registered) {
		s, err := readContainer(v, c, stateDir, served)
		if errors.Is(err, attach.ErrGone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Label, err)
		}
		if known, ok := registered[c.InitPID]; ok {
			s.Register(known)
		}
		r.Containers = append(r.Containers, s)
	}
	return r, nil
}

// withRegistered adds to the engines' containers the processes and cgroups of no
// engine that were given views by their PID or path.
func withRegistered(all []discover.Container, registered map[int]daemon.Status) []discover.Container {
	for _, pid := range slices.Sorted(maps.Keys(registered)) {
		s := registered[pid]
		if !slices.ContainsFunc(all, func(c discover.Container) bool { return c.InitPID == pid }) {
			all = append(all, discover.Container{ID: s.ID, InitPID: pid, Cgroup: s.Cgroup, PIDs: []int{pid}})
		}
	}
	return all
}

// askServer gives what the running server says of itself, nil when none runs, its
// registrations by init process, and the devices of the containers' trees.
func askServer(ctx context.Context, stateDir string) (*daemon.Server, map[int]daemon.Status, []attach.Device, error) {
	client, err := daemon.Dial(stateDir)
	if errors.Is(err, daemon.ErrNotRunning) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	defer client.Close()
	server, err := client.Server(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	list, err := client.List(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	registered := make(map[int]daemon.Status, len(list))
	for _, s := range list {
		registered[s.InitPID] = s
	}
	served, err := attach.DevicesAt(filepath.Join(stateDir, "bound"), filepath.Join(stateDir, "static"))
	return &server, registered, served, err
}

// readContainer tells what a container has. What serves one of `run` with a
// server of its own is in its state directory; of another state directory's
// nobody can tell.
func readContainer(v cover.Coverer, c discover.Container, stateDir string, served []attach.Device) (report.Container, error) {
	r := report.Container{
		Label: cover.Label(c), ID: c.ID, Name: c.Name, Engine: c.Engine, InitPID: c.InitPID, Cgroup: c.Cgroup.String(),
	}
	served = append([]attach.Device{}, served...) // not nil: somebody can tell
	if c.Engine == discover.Shim {
		dir := containerDir(stateDir, c.ID)
		own, ok, err := ownviews.Read(dir)
		if err != nil {
			return r, err
		}
		if ok {
			for _, d := range own.Devices {
				served = append(served, attach.Device(d))
			}
			r.Policy, r.Choices = &own.Policy, own.Choices
		} else if _, err := os.Stat(dir); err != nil {
			served = nil
		}
	}
	s, err := v.Look(c, served)
	r.State, r.Files, r.NestingLost = s.State, s.Files, s.NestingLost
	r.ProcessesElsewhere, r.HeldOpen = s.Elsewhere, s.HeldOpen
	return r, err
}
