// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"path"
	"strings"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Material is one text and what it was made from.
type Material struct {
	// Snapshot is the ID that a reader of the text can ask for; Held says that an
	// open file held it, else it was made to be explained.
	Snapshot uint64    `json:"snapshot"`
	Held     bool      `json:"held"`
	At       time.Time `json:"at"`   // when it was made
	File     string    `json:"file"` // "proc/meminfo"
	Text     []byte    `json:"text"`
	// Policy was in force.
	Policy view.Policy `json:"policy"`
	// Instead says that the text is the host's own because the container's could
	// not be had.
	Instead bool    `json:"instead,omitempty"`
	Init    Init    `json:"init"`
	Inputs  []Input `json:"inputs"`
}

// Init is what was known of the container's init process.
type Init struct {
	PID     int           `json:"pid"`   // 0: it isn't known
	Start   time.Duration `json:"start"` // by the boot clock, in nanoseconds
	Offset  time.Duration `json:"boot_offset"`
	HostPID bool          `json:"host_pid"` // in the host's PID namespace
}

// An Input is a file that was read.
type Input struct {
	Path string `json:"path"` // absolute
	Text []byte `json:"text"` // nil where it wasn't there
}

// Roots are where the host's files are: "/proc" and "/sys".
type Roots struct{ Proc, Sys string }

// hostName is a host's file as the table names it; ok is false for a cgroup's.
func (r Roots) hostName(at string) (name string, ok bool) {
	if below, ok := strings.CutPrefix(at, r.Proc+"/"); ok {
		return "proc/" + below, true
	}
	for _, top := range []string{"devices/", "kernel/"} { // not fs, where cgroups are
		if below, ok := strings.CutPrefix(at, r.Sys+"/"+top); ok {
			return "sys/" + top + below, true
		}
	}
	return "", false
}

// HostText is the host's own text of the file, if it was read for it.
func (m *Material) HostText(r Roots) (text []byte, ok bool) {
	for _, in := range m.Inputs {
		if name, isHost := r.hostName(in.Path); isHost && name == m.File && in.Text != nil {
			return in.Text, true
		}
	}
	return nil, false
}

// read is an input with its place.
type read struct {
	Input
	name   string // as the table has it
	host   bool
	dir    string // of a cgroup's file
	level  int    // of a cgroup's file, 0 for the container's own
	fields []formats.Field
}

// reads gives each input its place. Levels of one hierarchy are read from the
// container's own upwards, so that their directories are above one another; the
// deepest one is level 0.
func (m *Material) reads(roots Roots) []read {
	var all []read
	for _, in := range m.Inputs {
		r := read{Input: in}
		if r.name, r.host = roots.hostName(in.Path); !r.host {
			r.dir, r.name = path.Split(in.Path)
			r.dir = path.Clean(r.dir)
		}
		if in.Text != nil {
			r.fields = formats.Split(r.name, string(in.Text))
		}
		all = append(all, r)
	}
	for i := range all {
		for _, other := range all {
			if !all[i].host && !other.host && strings.HasPrefix(other.dir, all[i].dir+"/") {
				all[i].level = max(all[i].level, strings.Count(strings.TrimPrefix(other.dir, all[i].dir), "/"))
			}
		}
	}
	return all
}

// root says that the text is of the root cgroup: nothing but its cpuset was asked.
func root(reads []read) bool {
	for _, r := range reads {
		if !r.host && !strings.HasPrefix(r.name, "cpuset.") {
			return false
		}
	}
	return true
}

// situation is what decides whose file it is, but for root.
func (m *Material) situation() formats.Situation {
	return formats.Situation{
		Policy: m.Policy, TimeNamespace: m.Init.Offset != 0, Init: m.Init.PID != 0, HostPID: m.Init.HostPID,
	}
}
