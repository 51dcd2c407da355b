// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// VmstatInput is what a container's /proc/vmstat is made from.
type VmstatInput struct {
	// Counters are the lines of memory.stat and memory.events, descendants
	// included; v1's total_* keys without that prefix.
	Counters []limits.Counter
	// IO is what the container read and wrote, nil where nobody counts.
	IO []limits.DeviceIO
	// MemFree is the container's /proc/meminfo's, in bytes.
	MemFree uint64
	// Page is the host's page size in bytes, HugePage that of a transparent huge
	// page (sys/kernel/mm/transparent_hugepage/hpage_pmd_size). 0 stands for what
	// most 64-bit architectures have: as much as one page table maps.
	Page, HugePage uint64
}

// VmstatInto makes the container's /proc/vmstat: the host's labels in their order,
// with values from in:
//
//	nr_free_pages          MemFree
//	pgpgin, pgpgout        bytes read and written, in KiB as the kernel has them;
//	                       v1's memory.stat uses these names for something else
//	nr_zone_write_pending  nr_dirty + nr_writeback
//	what [VmstatKey] knows the value of the cgroup's key
//	others                 0; by [Policy.HostCounters] the host's, if it counts events
//
// dst, which is reused, must not be host. For the root cgroup the caller shows the
// host's file unchanged instead.
func VmstatInto(dst, host *procfile.Vmstat, in *VmstatInput, p Policy) {
	dst.CopyFrom(host)
	for i := range dst.Len() {
		label := dst.Name(i)
		if value, ok := in.row(label); ok {
			dst.SetValue(i, value)
		} else if !p.HostCounters || !countsEvents(label) {
			dst.SetValue(i, 0)
		}
	}
}

// row returns the value of a label that the container has a number for.
func (in *VmstatInput) row(label string) (value uint64, ok bool) {
	switch label {
	case "nr_free_pages":
		return in.MemFree / in.page(), true
	case "nr_zone_write_pending":
		dirty, _ := in.row("nr_dirty")
		writeback, _ := in.row("nr_writeback")
		return add(dirty, writeback), true
	case "pgpgin", "pgpgout":
		// Also where nobody counts: a counter must not fall from the host's to the
		// container's at its first I/O.
		return in.transferred(label == "pgpgout") / kB, true
	}
	source, ok := vmstatSources[label]
	if !ok {
		return 0, false
	}
	for i := range in.Counters {
		if c := &in.Counters[i]; c.Name == source.key || c.Name == source.keyV1 {
			return c.Value / source.unit.size(in), true
		}
	}
	return 0, false
}

func (in *VmstatInput) page() uint64 { return max(in.Page, 1) }

func (in *VmstatInput) hugePage() uint64 {
	const entry = 8 // bytes of a page table's
	if in.HugePage > 0 {
		return in.HugePage
	}
	return max(mulDiv(in.page(), in.page(), entry), 1)
}

// transferred is the bytes read from or written to all devices.
func (in *VmstatInput) transferred(written bool) (sum uint64) {
	for i := range in.IO {
		if written {
			sum = add(sum, in.IO[i].WriteBytes)
		} else {
			sum = add(sum, in.IO[i].ReadBytes)
		}
	}
	return sum
}

// countsEvents says that a label's number only grows, other than a state's such
// as nr_free_pages (the enumerations in include/linux/mmzone.h and
// vm_event_item.h).
func countsEvents(label string) bool {
	switch label {
	case "workingset_nodes":
		return false
	case "nr_dirtied", "nr_written", "nr_throttled_written", "nr_vmscan_write", "nr_vmscan_immediate_reclaim",
		"nr_foll_pin_acquired", "nr_foll_pin_released":
		return true
	}
	return !strings.HasPrefix(label, "nr_") || strings.HasPrefix(label, "nr_tlb_")
}
