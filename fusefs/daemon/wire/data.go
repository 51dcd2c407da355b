// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"path/filepath"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Registration says which container is to be served.
type Registration struct {
	// ID names the container: 1 to 255 of the characters A–Z a–z 0–9 _ . + : @
	// - and \ (systemd's escapes have it), the first a letter, digit or _.
	ID string `json:"id"`
	// Container is what the server's rules know it by.
	Container policy.Subject `json:"container"`
	// Cgroup is the container's cgroup.
	Cgroup cgroupread.Paths `json:"cgroup"`
	// InitPID is the container's init process as the server's PID namespace
	// numbers it.
	InitPID int `json:"init_pid"`
	// Choices are what was chosen for this container; the server lays them over
	// its rules. On a container that is registered they are laid over those of
	// before.
	Choices policy.Choices `json:"choices,omitempty"`
	// Owned ties the container to the connection that registers it: when that
	// closes without Unregister, the server kills InitPID.
	Owned bool `json:"owned"`
}

// Registered says where a container's files are, and what is in force for it.
type Registered struct {
	// Dir is the absolute directory below which proc/meminfo and the others
	// are.
	Dir string `json:"dir"`
	// Static is the absolute directory of those that the kernel keeps
	// (fusefs.Static), which are below Dir too, but slower; a server without leaves
	// it out. Where a file is best taken from, Path says.
	Static string `json:"static,omitempty"`
	// Files are the paths below Dir that are to be bound over the container's
	// own, for example "proc/meminfo".
	Files  []string    `json:"files"`
	Policy view.Policy `json:"policy"`
	// Shared is the absolute path of the shared tree's mount; a server that has
	// none leaves it out.
	Shared string `json:"shared,omitempty"`
}

// Path is where a served file is to be taken from: "proc/meminfo" is in Dir.
func (r Registered) Path(file string) string {
	for _, f := range fusefs.Files() {
		if f.Path == file && f.Static && r.Static != "" {
			return filepath.Join(r.Static, file)
		}
	}
	return filepath.Join(r.Dir, file)
}

// Status is what the server knows of one container.
type Status struct {
	ID        string           `json:"id"`
	Container policy.Subject   `json:"container"`
	Cgroup    cgroupread.Paths `json:"cgroup"`
	InitPID   int              `json:"init_pid"`
	Dir       string           `json:"dir"`
	// Policy is in force, made of the server's rules and of Choices, which were
	// made for this container; Files are to be bound by it.
	Policy  view.Policy    `json:"policy"`
	Files   []string       `json:"files"`
	Choices policy.Choices `json:"choices,omitempty"`
	Owned   bool           `json:"owned"`
	// Errors counts reads that could not be answered with a fresh view, by
	// cause.
	Errors map[fusefs.Cause]uint64 `json:"errors,omitempty"`
	// RegisteredAt is when the server learnt of it.
	RegisteredAt time.Time `json:"registered_at"`
}

// Server is what a server says of itself.
type Server struct {
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	// Mountpoint is where the shared tree is; "" for a container's own server.
	Mountpoint string `json:"mountpoint,omitempty"`
	// Config is the configuration file that it was started with, there or not.
	Config string `json:"config,omitempty"`
	// Policy and Files are in force in the shared tree and for containers that
	// nothing was chosen for; Choices are where they come from.
	Policy  view.Policy    `json:"policy"`
	Files   []string       `json:"files"`
	Choices policy.Choices `json:"choices,omitempty"`
	// Containers is how many are registered.
	Containers int `json:"containers"`
	// Errors counts, by cause, failed reads of the registered containers' files,
	// and of the shared tree by readers whose container could not be told.
	Errors map[fusefs.Cause]uint64 `json:"errors,omitempty"`
}

// Explain asks what a text was made from.
type Explain struct {
	// ID is the container's; "" asks for a snapshot of the shared tree.
	ID string `json:"id,omitempty"`
	// File is the path below a tree: "proc/meminfo".
	File string `json:"file"`
	// Snapshot is one that an open file holds, in the container's tree or the
	// shared one; 0 asks for a new one.
	Snapshot uint64 `json:"snapshot,omitempty"`
	// Offset is how many bytes of the answer came before: above 0 the last one is
	// gone on with.
	Offset int `json:"offset,omitempty"`
}
