// SPDX-License-Identifier: Apache-2.0

// Package report is what `procfs-shim status` prints: the server, and each
// container of the host with its files, the policy in force and what went wrong.
// It turns values that others gathered into a table or JSON and reads nothing.
//
// # JSON
//
// [Report] is the object; docs/STATUS.md describes it for scripts. Fields are
// added, never renamed. What isn't known or is nothing is left out.
//
// # Table
//
//	CONTAINER  ENGINE  INIT  STATE    FILES  POLICY           CGROUP
//	web        docker  4711  healthy  15     cpu-view=cpuset  /docker/3f2a…
//
// POLICY has only what differs from the server's default, "-" if nothing does,
// and "?" where nobody knows. Lines below the table say what doesn't fit in.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Report is the whole output.
type Report struct {
	Time          time.Time   `json:"time"`
	ServerRunning bool        `json:"server_running"`
	Server        *Server     `json:"server,omitempty"`
	Containers    []Container `json:"containers"`
}

// Server is the running server.
type Server struct {
	wire.Server
	UptimeSeconds int64 `json:"uptime_seconds"`
}

// Container is one container of the host.
type Container struct {
	Label   string   `json:"-"` // what its user calls it
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Engine  string   `json:"engine,omitempty"`
	InitPID int      `json:"init_pid"`
	Cgroup  string   `json:"cgroup"`
	State   string   `json:"state"`
	Files   []string `json:"files"` // that are covered, "/proc/meminfo"
	// Policy is in force; nil where no server says so. Choices were made for this
	// container by `run` or `mount`.
	Policy  *view.Policy   `json:"policy,omitempty"`
	Choices policy.Choices `json:"choices,omitempty"`
	// What the views can't reach: processes with a /proc of their own, and
	// descriptors that were opened before.
	ProcessesElsewhere int `json:"processes_elsewhere,omitempty"`
	HeldOpen           int `json:"held_open,omitempty"`
	// NestingLost says that rootless containers inside could mount a /proc of
	// their own if the views weren't there.
	NestingLost bool `json:"nesting_lost,omitempty"`
	// Errors counts failed reads by cause, as the server knows them.
	Errors map[fusefs.Cause]uint64 `json:"errors,omitempty"`
}

// New returns a report without containers; server is nil when none runs.
func New(now time.Time, server *wire.Server) *Report {
	r := &Report{Time: now, ServerRunning: server != nil, Containers: []Container{}}
	if server != nil {
		r.Server = &Server{*server, int64(now.Sub(server.StartedAt) / time.Second)}
	}
	return r
}

// Register adds to c what the server knows of it.
func (c *Container) Register(s wire.Status) {
	c.Policy, c.Choices, c.Errors = &s.Policy, s.Choices, s.Errors
}

// WriteJSON writes the report as one indented object.
func (r *Report) WriteJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	var text strings.Builder
	text.WriteString("CONTAINER\tENGINE\tINIT\tSTATE\tFILES\tPOLICY\tCGROUP\n")
	for _, c := range r.Containers {
		fmt.Fprintf(&text, "%s\t%s\t%d\t%s\t%d\t%s\t%s\n", c.Label, c.Engine, c.InitPID, c.State, len(c.Files), r.policyOf(c), c.Cgroup)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	var notes []string
	for _, c := range r.Containers {
		for _, note := range c.notes() {
			notes = append(notes, c.Label+": "+note)
		}
	}
	notes = append(notes, r.serverNotes()...)
	if _, err := io.WriteString(out, strings.Join(notes, "\n")+"\n"); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// policyOf is a container's policy in the table: one word, whatever it is.
func (r *Report) policyOf(c Container) string {
	if c.Policy == nil {
		if len(c.Files) == 0 {
			return "-"
		}
		return "?"
	}
	differs := policy.Differences(*c.Policy, r.defaultPolicy()).String()
	if differs == "" {
		return "-"
	}
	return strings.ReplaceAll(differs, " ", ",")
}

func (r *Report) defaultPolicy() view.Policy {
	if r.Server == nil {
		return view.Policy{}
	}
	return r.Server.Policy
}

// notes are what doesn't fit into the table.
func (c *Container) notes() []string {
	var notes []string
	if c.ProcessesElsewhere > 0 {
		notes = append(notes, fmt.Sprintf("%d processes have a /proc of their own that isn't covered", c.ProcessesElsewhere))
	}
	if c.HeldOpen > 0 {
		notes = append(notes, fmt.Sprintf("%d descriptors were opened before the views came and show the host", c.HeldOpen))
	}
	if c.NestingLost {
		notes = append(notes, "rootless containers inside can't mount a /proc of their own because of the views")
	}
	if len(c.Errors) > 0 {
		notes = append(notes, "failed reads: "+counts(c.Errors))
	}
	return notes
}

// serverNotes are about the server.
func (r *Report) serverNotes() []string {
	s := r.Server
	if s == nil {
		return []string{"no server is running: start one with 'procfs-shim serve'"}
	}
	notes := []string{
		fmt.Sprintf("server: %s, process %d, up %v, shared tree at %s, %d containers registered",
			s.Version, s.PID, time.Duration(s.UptimeSeconds)*time.Second, s.Mountpoint, s.Containers),
		"server: default policy: " + policy.InWords(s.Policy),
	}
	if len(s.Errors) > 0 {
		notes = append(notes, "server: failed reads: "+counts(s.Errors))
	}
	return notes
}

func counts(errors map[fusefs.Cause]uint64) string {
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(errors)) {
		causes = append(causes, fmt.Sprintf("%s (%d)", cause, errors[cause]))
	}
	return strings.Join(causes, ", ")
}
