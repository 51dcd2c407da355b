// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// notes are what no single field says.
func (x *explainer) notes(e *Explanation) (notes []string) {
	if e.HostsOwn != "" {
		return nil
	}
	if n := x.quotaNote(); n != "" {
		notes = append(notes, n)
	}
	switch x.material.File {
	case "proc/diskstats":
		if n := x.blkioNote(); n != "" {
			notes = append(notes, n)
		}
	case "proc/slabinfo":
		if len(x.shown) <= len([]string{"version", "headings"}) {
			notes = append(notes, "no file of the cgroup tells its slab caches here (v2 has none, v1's is empty since Linux 5.9): the headings alone are shown")
		}
	case "proc/stat":
		notes = append(notes, "the CPUs' times are summed up from read to read, so that none ever falls: the sources are the last read's")
	case "proc/uptime":
		if x.material.Init.Offset == 0 {
			notes = append(notes, "start times in /proc/PID/stat count from the host's boot here: the elapsed time of ps(1) is wrong in this container, unless its policy is uptime=host")
		}
	}
	if path.Dir(x.material.File) == "proc/pressure" && !x.has(path.Base(x.material.File)+".pressure") {
		notes = append(notes, "the container has no "+path.Base(x.material.File)+".pressure of its own: zeros are shown, never the host's pressure")
	}
	return notes
}

// has says whether a cgroup's file of that name was read.
func (x *explainer) has(name string) bool {
	for _, r := range x.reads {
		if !r.host && r.name == name && r.Text != nil {
			return true
		}
	}
	return false
}

// quotaNote warns where a quota, not the cpuset, says how many CPUs are shown.
func (x *explainer) quotaNote() string {
	lines := formats.TraceLines(&x.file, x.situation)
	for _, row := range x.file.Rows {
		lines = append(lines, row.Under(x.situation.Policy).Inputs...)
	}
	concerned := slices.ContainsFunc(lines, func(in formats.Input) bool {
		return in.Name == "cpu.max quota" || in.Name == "sys/devices/system/cpu/online"
	})
	if !concerned || !x.quotaBinds() {
		return ""
	}
	least, _ := x.tightest()
	usable, _ := x.usableCPUs()
	return fmt.Sprintf("the quota of %s binds: threads still run on any CPU of %s. For a program that indexes memory by getcpu(2) "+
		"and sizes it by the CPUs it sees here, use the policy cpu-view=cpuset", least.dir, usable)
}

// quotaBinds says whether a quota shows fewer CPUs than the cpuset has.
func (x *explainer) quotaBinds() bool {
	tightest, ok := x.tightest()
	usable, known := x.usableCPUs()
	if !ok || !known || x.situation.Policy.CPUView != view.CPUViewQuota {
		return false
	}
	b, _ := tightest.quota()
	return max(1, (b.amount+b.of-1)/b.of) < uint64(usable.Len())
}

// tightest is the level with the smallest quota ÷ period; ok is false if none has a
// quota.
func (x *explainer) tightest() (tightest level, ok bool) {
	var least bound
	for _, l := range x.levels() {
		if b, limited := l.quota(); limited && (!ok || b.less(least)) {
			tightest, least, ok = l, b, true
		}
	}
	return tightest, ok
}

// usableCPUs are those of the cpuset that are online.
func (x *explainer) usableCPUs() (usable cpulist.Set, ok bool) {
	var online cpulist.Set
	for _, r := range x.reads {
		set, err := cpulist.Parse(strings.TrimSpace(string(r.Text)))
		switch {
		case err != nil:
		case r.host && r.name == "sys/devices/system/cpu/online":
			online = set
		case (r.name == "cpuset.cpus.effective" || r.name == "cpuset.effective_cpus") && !ok && !set.IsEmpty():
			usable, ok = set, true
		}
	}
	if !ok {
		return online, !online.IsEmpty()
	}
	return usable.Intersect(online), true
}

// blkioNote says why diskstats is empty on newer kernels' v1.
func (x *explainer) blkioNote() string {
	if len(x.shown) > 0 {
		return ""
	}
	counted := x.has("io.stat")
	for _, r := range x.reads {
		counted = counted || strings.HasPrefix(r.name, "blkio.throttle.") &&
			slices.ContainsFunc(r.fields, func(f formats.Field) bool { return f.Name != "Total" })
	}
	switch {
	case counted:
		return "the container did no I/O on a block device of the host"
	case x.has("blkio.throttle.io_serviced_recursive"), x.has("blkio.throttle.io_serviced"):
		return "this kernel may count I/O of a v1 cgroup only on devices that a rule of blkio.throttle names, and none is counted here: " +
			"start the container with a rule for the device, as with `run --device-write-bps`, or see whether it did any I/O"
	}
	return "no blkio or io controller counts the container's I/O"
}
