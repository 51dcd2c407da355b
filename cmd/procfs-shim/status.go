// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// The states of a container.
const (
	stateHealthy   = "healthy"   // all of its files are served
	stateStale     = "stale"     // a file is left from a server that is gone, or hidden
	stateUncovered = "uncovered" // it has none
)

// containerStatus is one container in the output of `status`.
type containerStatus struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Engine  string   `json:"engine,omitempty"`
	InitPID int      `json:"init_pid"`
	Cgroup  string   `json:"cgroup"`
	State   string   `json:"state"`
	Files   []string `json:"files"`
	// What the views can't reach, see discover.Coverage.
	ProcessesElsewhere int `json:"processes_elsewhere,omitempty"`
	HeldOpen           int `json:"held_open,omitempty"`
	// NestingLost says that rootless containers inside could mount a /proc of
	// their own if the views weren't there.
	NestingLost bool `json:"nesting_lost,omitempty"`
	// Errors counts failed reads by cause, as the server knows them.
	Errors map[fusefs.Cause]uint64 `json:"errors,omitempty"`
}

// statusReport is the output of `status --output json`.
type statusReport struct {
	ServerRunning bool              `json:"server_running"`
	Containers    []containerStatus `json:"containers"`
}

func newStatusCommand() *cobra.Command {
	var stateDir, output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the containers of this host and their views",
		Long: `status lists the running containers of all engines: which files of theirs are
covered, and whether they are served (healthy), left from a server that is gone
(stale; 'procfs-shim mount' mends it), or not there (uncovered). Below the table
it says what the views can't reach: processes inside that have a /proc of their
own, and files that were opened before.`,
		Example: `  procfs-shim status
  procfs-shim status --output json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError(cmd, fmt.Errorf("--output: %q is neither table nor json", output))
			}
			if err := requireRoot("status"); err != nil {
				return err
			}
			report, err := readStatus(cmd.Context(), stateDir)
			if err != nil {
				return err
			}
			if output == "json" {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(report)
			}
			return report.writeTable(cmd.OutOrStdout())
		},
	}
	addStateDirFlag(cmd, &stateDir)
	cmd.Flags().StringVar(&output, "output", "table", "table or json")
	return cmd
}

func readStatus(ctx context.Context, stateDir string) (*statusReport, error) {
	finder, err := newFinder()
	if err != nil {
		return nil, err
	}
	registered, served, err := askServer(ctx, stateDir)
	if err != nil {
		return nil, err
	}
	all, err := finder.All()
	if err != nil {
		return nil, err
	}
	r := &statusReport{ServerRunning: registered != nil, Containers: []containerStatus{}}
	for _, c := range withRegistered(all, registered) {
		s, err := readContainer(finder, c, stateDir, served)
		if errors.Is(err, attach.ErrGone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", label(c), err)
		}
		s.Errors = registered[c.InitPID].Errors
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

// askServer gives the registrations of the running server by init process, nil when none
// runs, and the device of the bound tree that it serves.
func askServer(ctx context.Context, stateDir string) (map[int]daemon.Status, []attach.Device, error) {
	client, err := daemon.Dial(stateDir)
	if errors.Is(err, daemon.ErrNotRunning) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	list, err := client.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	registered := make(map[int]daemon.Status, len(list))
	for _, s := range list {
		registered[s.InitPID] = s
	}
	tree, err := os.OpenFile(filepath.Join(stateDir, "bound"), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("status: %w", err)
	}
	defer tree.Close()
	device, err := attach.DeviceOf(tree)
	if err != nil {
		return nil, nil, err
	}
	return registered, []attach.Device{device}, nil
}

func readContainer(finder *discover.Finder, c discover.Container, stateDir string, served []attach.Device) (containerStatus, error) {
	s := containerStatus{
		ID: c.ID, Name: c.Name, Engine: c.Engine, InitPID: c.InitPID,
		Cgroup: c.Cgroup.String(), State: stateUncovered, Files: []string{},
	}
	mounted, err := coveredFiles(c.InitPID)
	if err != nil || len(mounted) == 0 {
		return s, err
	}
	served, known, err := withOwnServer(c, stateDir, served)
	if err != nil {
		return s, err
	}
	s.State = stateHealthy
	for _, m := range mounted {
		s.Files = append(s.Files, m.Destination)
		if known && !m.Healthy(served...) || m.Covered {
			s.State = stateStale
		}
	}
	fresh, err := attach.ReadFreshProc("/proc", c.InitPID)
	if err != nil {
		return s, err
	}
	s.NestingLost = fresh.Lost()
	coverage, err := finder.Coverage(c, s.Files)
	if err != nil {
		return s, err
	}
	s.ProcessesElsewhere, s.HeldOpen = coverage.Elsewhere, coverage.HeldOpen
	return s, nil
}

// withOwnServer adds to what the daemon serves what a container of `run` has a
// server of its own for. known is false for one of another state directory:
// nobody can tell what serves it.
func withOwnServer(c discover.Container, stateDir string, served []attach.Device) (all []attach.Device, known bool, err error) {
	if c.Engine != discover.Shim {
		return served, true, nil
	}
	if _, err := os.Stat(containerDir(stateDir, c.ID)); err != nil {
		return served, false, nil //nolint:nilerr // then it is another directory's
	}
	own, err := readOwnDevice(stateDir, c.ID)
	return append(slices.Clone(served), own...), true, err
}

func (r *statusReport) writeTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CONTAINER\tENGINE\tINIT\tSTATE\tFILES\tCGROUP")
	for _, c := range r.Containers {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\n", c.label(), c.Engine, c.InitPID, c.State, len(c.Files), c.Cgroup)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	for _, c := range r.Containers {
		for _, note := range c.notes() {
			fmt.Fprintf(out, "%s: %s\n", c.label(), note)
		}
	}
	if !r.ServerRunning {
		fmt.Fprintln(out, "no server is running: start one with 'procfs-shim serve'")
	}
	return nil
}

func (s containerStatus) label() string {
	return label(discover.Container{ID: s.ID, Name: s.Name})
}

// notes are what doesn't fit into the table.
func (s containerStatus) notes() []string {
	var notes []string
	if s.ProcessesElsewhere > 0 {
		notes = append(notes, fmt.Sprintf("%d processes have a /proc of their own that isn't covered", s.ProcessesElsewhere))
	}
	if s.HeldOpen > 0 {
		notes = append(notes, fmt.Sprintf("%d descriptors were opened before the views came and show the host", s.HeldOpen))
	}
	if s.NestingLost {
		notes = append(notes, "rootless containers inside can't mount a /proc of their own because of the views")
	}
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(s.Errors)) {
		causes = append(causes, fmt.Sprintf("%s (%d)", cause, s.Errors[cause]))
	}
	if len(causes) > 0 {
		notes = append(notes, "failed reads: "+strings.Join(causes, ", "))
	}
	return notes
}
