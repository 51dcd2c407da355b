// SPDX-License-Identifier: Apache-2.0

package formats

import "github.com/procfs-shim/procfs-shim/fusefs/view"

func swaps() File {
	total, free := meminfoPath+" SwapTotal", meminfoPath+" SwapFree"
	return File{
		Path: "proc/swaps", Lines: "the headings, and one area if SwapTotal isn't 0", LinesOf: []Input{shown(total)},
		Hosts: []Case{rootCgroup()},
		Rows: []Row{
			hostRow("headings", "the host's"),
			{Field: "* type", Kind: Invented, Formula: "virtual"},
			{Field: "* size", Kind: Computed, Formula: "SwapTotal of proc/meminfo", Inputs: []Input{shown(total)}},
			{Field: "* used", Kind: Computed, Formula: "SwapTotal − SwapFree of proc/meminfo", Inputs: []Input{shown(total), shown(free)}},
			{Field: "* priority", Kind: Invented, Formula: "−2, what the kernel gives the first area"},
		},
	}
}

func vmstat() File {
	f := File{
		Path: "proc/vmstat", Hosts: []Case{rootCgroup()},
		Rows: []Row{
			{
				Field: "nr_free_pages", Kind: Computed, Formula: "MemFree of proc/meminfo, in pages",
				Inputs: []Input{shown(meminfoPath + " MemFree")},
			},
			{
				Field: "nr_zone_write_pending", Kind: Computed, Formula: "nr_dirty + nr_writeback",
				Inputs: []Input{shown("proc/vmstat nr_dirty"), shown("proc/vmstat nr_writeback")},
			},
			{
				Field: "pgpgin", Kind: Computed, Formula: "Σ over devices of bytes read, in KiB",
				Inputs: blkio("rbytes", "io_service_bytes", "Read"),
			},
			{
				Field: "pgpgout", Kind: Computed, Formula: "Σ over devices of bytes written, in KiB",
				Inputs: blkio("wbytes", "io_service_bytes", "Write"),
			},
		},
	}
	for _, label := range view.VmstatLabels() {
		f.Rows = append(f.Rows, vmstatRow(label))
	}
	for _, event := range []string{
		"nr_dirtied", "nr_written", "nr_throttled_written", "nr_vmscan_write", "nr_vmscan_immediate_reclaim",
		"nr_foll_pin_acquired", "nr_foll_pin_released", "nr_tlb_*",
	} {
		f.Rows = append(f.Rows, always(event, "0", hostCounters()))
	}
	f.Rows = append(f.Rows, always("nr_*", "0"), always("workingset_nodes", "0"), always("*", "0", hostCounters()))
	return f
}

// vmstatRow is a label that the memory cgroup has a number for.
func vmstatRow(label string) Row {
	key, v1, _ := view.VmstatKey(label)
	formula, inputs := key, []Input{ownStat(key, v1)}
	switch unit := view.VmstatUnit(label); {
	case key == "oom_kill":
		inputs = []Input{own("memory.events oom_kill", "memory.oom_control oom_kill")}
		formula = "oom_kill of memory.events (v1: memory.oom_control)"
	case unit != "":
		formula += ", in " + unit
		if unit == view.HugePages {
			inputs = append(inputs, host("sys/kernel/mm/transparent_hugepage/hpage_pmd_size"))
		}
	}
	r := Row{Field: label, Kind: Cgroup, Formula: formula + "; 0 where there is no such key", Inputs: inputs}
	if view.VmstatUnit(label) == "" {
		counters := hostCounters()
		counters.Kind, counters.Formula = Cgroup, formula+"; the host's where there is no such key"
		counters.Inputs = append([]Input{host("proc/vmstat " + label)}, inputs...)
		r.With = []Variant{counters}
	}
	return r
}

// blkio is a key of io.stat or an operation of v1's file, which older kernels have for
// the cgroup alone, without its descendants.
func blkio(key, file, operation string) []Input {
	name := "blkio.throttle." + file
	return []Input{own("io.stat * "+key, name+"_recursive * "+operation), own("", name+" * "+operation)}
}

func diskstats() File {
	requests := func(field, key, operation string) Row {
		return Row{
			Field: "* " + field, Kind: Cgroup, Formula: key + " of io.stat; v1: " + operation + " of blkio.throttle.io_serviced_recursive",
			Inputs: blkio(key, "io_serviced", operation),
		}
	}
	sectors := func(field, key, operation string) Row {
		return Row{
			Field: "* " + field, Kind: Cgroup, Formula: key + " of io.stat ÷ 512; v1: " + operation + " of blkio.throttle.io_service_bytes_recursive ÷ 512",
			Inputs: blkio(key, "io_service_bytes", operation),
		}
	}
	return File{
		Path: "proc/diskstats", Lines: "a device's line is there if the container did I/O on it and the host has it",
		LinesOf: []Input{
			own("io.stat *", "blkio.throttle.io_service* *"), host("proc/diskstats * major"), host("proc/diskstats * minor"),
		},
		Hosts: []Case{rootCgroup()},
		Rows: []Row{
			hostRow("* major", "the host's"), hostRow("* minor", "the host's"),
			requests("reads", "rios", "Read"), sectors("sectors read", "rbytes", "Read"),
			requests("writes", "wios", "Write"), sectors("sectors written", "wbytes", "Write"),
			requests("discards", "dios", "Discard"), sectors("sectors discarded", "dbytes", "Discard"),
			always("*", "0: no cgroup counts it"),
		},
	}
}

func slabinfo() File {
	return File{
		Path: "proc/slabinfo", Lines: "the headings, and v1's caches of the cgroup (Linux before 5.9); never the host's",
		LinesOf: []Input{own("", "memory.kmem.slabinfo *")}, Hosts: []Case{rootCgroup()},
		Rows: []Row{
			hostRow("version", "the host's"), hostRow("headings", "the host's"),
			{
				Field: "*", Kind: Cgroup, Formula: "the line of memory.kmem.slabinfo",
				Inputs: []Input{own("", "memory.kmem.slabinfo *")},
			},
		},
	}
}
