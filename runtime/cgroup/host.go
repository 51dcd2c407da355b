// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// Host is what this machine can limit: its hierarchies and their controllers.
// It is read once; mounts and CPUs that come later need another one.
type Host struct {
	hierarchies []cgroupread.Hierarchy
	pure        bool // cgroup2 alone has controllers
}

// NewHost looks at the root of every mounted hierarchy.
func NewHost(layout *cgroupread.Layout) Host {
	return Host{hierarchies: layout.Hierarchies(), pure: layout.Mode() == cgroupread.V2}
}

// of is the hierarchy with the controller, "" being cgroup2 itself; nil if
// nothing has it. A controller is v1's where v1 has it mounted.
func (h Host) of(controller string) *cgroupread.Hierarchy {
	var unified *cgroupread.Hierarchy
	for i := range h.hierarchies {
		at := &h.hierarchies[i]
		switch {
		case at.Unified:
			if controller == "" || slices.Contains(at.Controllers, controller) {
				unified = at
			}
		case slices.Contains(at.Controllers, controller):
			return at
		}
	}
	return unified
}

// Has reports whether a hierarchy with the controller is mounted. The I/O
// controller is "blkio" on v1 and "io" on v2; either name finds it.
func (h Host) Has(controller string) bool { return h.name(controller) != "" }

// name is the controller as this host calls it, "" if it has none.
func (h Host) name(controller string) string {
	if h.of(controller) != nil {
		return controller
	}
	for _, pair := range [][2]string{{"io", "blkio"}, {"blkio", "io"}} {
		if controller == pair[0] && h.of(pair[1]) != nil {
			return pair[1]
		}
	}
	return ""
}

// onV2 reports whether cgroup2 has the controller. Of one that nothing has it
// is the host's version. Devices are no controller of cgroup2, which limits them
// in its own way wherever it is mounted.
func (h Host) onV2(controller string) bool {
	name := h.name(controller)
	switch {
	case name == "" && controller == "devices":
		return h.of("") != nil
	case name == "":
		return h.pure
	}
	return h.of(name).Unified
}

// SwapLimit reports whether memory+swap can be limited. v1 shows its files in
// the root where swap is counted. v2 doesn't, so any cgroup below is looked at;
// with nothing to look at, as on a host that has just started, it says yes.
func (h Host) SwapLimit() bool {
	at := h.of("memory")
	if at == nil {
		return false
	}
	if !at.Unified {
		return exists(at.Mountpoint, "memory.memsw.limit_in_bytes")
	}
	return below(at.Mountpoint, "memory.max", "memory.swap.max")
}

// IOWeight reports whether an I/O weight can be set: by BFQ, which names its
// other files in v1's root, by CFQ (before Linux 5.0), or by v2's iocost,
// whose io.cost.qos is in the root.
func (h Host) IOWeight() bool {
	name := h.name("io")
	if name == "" {
		return false
	}
	at := h.of(name)
	if !at.Unified {
		return exists(at.Mountpoint, "blkio.bfq.io_serviced") || exists(at.Mountpoint, "blkio.weight")
	}
	return exists(at.Mountpoint, "io.cost.qos") || below(at.Mountpoint, "io.max", "io.bfq.weight")
}

// CPUs and Mems are the CPUs and memory nodes that a cgroup here can use; false
// if no cpuset controller is mounted.
func (h Host) CPUs() (cpulist.Set, bool) { return h.effective("cpus") }

// Mems are the memory nodes, see CPUs.
func (h Host) Mems() (cpulist.Set, bool) { return h.effective("mems") }

func (h Host) effective(what string) (cpulist.Set, bool) {
	at := h.of("cpuset")
	if at == nil {
		return cpulist.Set{}, false
	}
	for _, name := range []string{"cpuset." + what + ".effective", "cpuset.effective_" + what, "cpuset." + what} {
		text, err := os.ReadFile(filepath.Join(at.Mountpoint, name))
		if err != nil {
			continue
		}
		if ids, err := cpulist.Parse(string(text)); err == nil && !ids.IsEmpty() {
			return ids, true
		}
	}
	return cpulist.Set{}, false
}

// below reports whether a cgroup below dir has the file, given one that has
// the witness, a file of the same controller that is always there. Without a
// witness the answer is yes. One level and the next one are looked at.
func below(dir, witness, file string) bool {
	seen := false
	for _, pattern := range []string{"*", "*/*"} {
		dirs, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern, witness))
		if err != nil {
			continue
		}
		for _, w := range dirs {
			if exists(filepath.Dir(w), file) {
				return true
			}
			seen = true
		}
		if seen {
			return false
		}
	}
	return true
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func exists(dir, file string) bool {
	_, err := os.Lstat(filepath.Join(dir, file))
	return err == nil
}

// String names the mode and the controllers, for messages.
func (h Host) String() string {
	var names []string
	for _, at := range h.hierarchies {
		names = append(names, at.Controllers...)
	}
	version := "v1"
	if h.pure {
		version = "v2"
	}
	return fmt.Sprintf("cgroup %s with %s", version, strings.Join(names, ", "))
}
