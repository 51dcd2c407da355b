// SPDX-License-Identifier: Apache-2.0

package source

import (
	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Record is what a text was made from. Whoever has the text made sets the first
// fields, and Hosts.
type Record struct {
	Path   string      // of the file
	Policy view.Policy // that was in force
	Init   locate.Init // of the container
	// Hosts says that the text is the host's own, in place of one that could not be
	// had (view.OnErrorHost).
	Hosts bool

	Cgroup cgroupread.Record
	Host   hostread.Record
}

// Reset empties the record for the next text.
func (r *Record) Reset() {
	r.Path, r.Policy, r.Init, r.Hosts = "", view.Policy{}, locate.Init{}, false
	r.Cgroup.Reset()
	r.Host.Reset()
}

// Each calls f for each file that was read: its absolute path, and its text, nil
// where it wasn't there, which must not be changed or kept.
func (r *Record) Each(f func(path string, text []byte)) {
	r.Host.Each(f)
	r.Cgroup.Each(f)
}

// Size is what the record keeps from being freed, in bytes.
func (r *Record) Size() int { return r.Cgroup.Size() + r.Host.Size() }
