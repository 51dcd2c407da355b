// SPDX-License-Identifier: Apache-2.0

package formats

const nodePath = "sys/devices/system/node/"

// shownNodes is what decides which NUMA nodes a container is shown.
func shownNodes() []Input {
	return []Input{host(nodePath + "online"), nearest("cpuset.mems.effective", "cpuset.effective_mems")}
}

func nodeList(name string) File {
	inputs := shownNodes()
	formula := "cpuset.mems.effective ∩ host online"
	if name != "online" {
		inputs = append(inputs, host(nodePath+name))
		formula = "host " + name + " ∩ online"
	}
	return File{
		Path: nodePath + name,
		Rows: []Row{{Field: name, Kind: Computed, Formula: formula, Inputs: inputs}},
	}
}

func nodeHasCPU() File {
	return File{
		Path: nodePath + "has_cpu",
		Rows: []Row{{
			Field: "has_cpu", Kind: Computed, Formula: "nodes of host has_cpu ∩ online that have a CPU of cpu/online",
			Inputs: append(shownNodes(), host(nodePath+"has_cpu"), host(nodePath+"node#/cpulist"), shown(onlineField)),
		}},
	}
}

func nodeCPUs(name string) File {
	return File{
		Path: nodePath + "node#/" + name, LinesOf: shownNodes(), Lines: "the node is there if it is in node/online",
		Rows: []Row{{
			Field: name, Kind: Computed, Formula: "the host's ∩ cpu/online",
			Inputs: []Input{host(nodePath + "node#/" + name), shown(onlineField)},
		}},
	}
}

func nodeDistance() File {
	return File{
		Path: nodePath + "node#/distance", LinesOf: shownNodes(), Lines: "the node is there if it is in node/online",
		Rows: []Row{{
			Field: "distance", Kind: Computed, Formula: "the host's columns of the nodes in node/online",
			Inputs: append(shownNodes(), host(nodePath+"node#/distance")),
		}},
	}
}

func nodeNumastat() File {
	return File{
		Path: nodePath + "node#/numastat", LinesOf: shownNodes(), Lines: "the node is there if it is in node/online",
		Hosts: []Case{rootCgroup()},
		Rows:  []Row{always("*", "0: no cgroup counts allocations by node", hostCounters())},
	}
}

// numaStat is a key of memory.numa_stat on any node; v1 has some keys only.
func numaStat(key, v1 string) Input {
	in := own("memory.numa_stat "+key+" N#", "")
	if v1 != "" {
		in.V1 = "memory.numa_stat hierarchical_" + v1 + " N#"
	}
	return in
}

// A kind of memory that both /proc/meminfo and memory.numa_stat have.
type nodeKind struct {
	field   string // of the node's meminfo
	meminfo string // of /proc/meminfo, where that has another name
	key, v1 string // of memory.numa_stat; v1's is that of the kind that weighs for it
	whole   string // what it is a part of, "" for what is used on the node
}

func nodeKinds() []nodeKind {
	const anon, file = "anon", "file"
	return []nodeKind{
		{"AnonPages", "", "anon", anon, ""},
		{"Shmem", "", "shmem", anon, ""},
		{"KernelStack", "", "kernel_stack", anon, ""},
		{"PageTables", "", "pagetables", anon, ""},
		{"SecPageTables", "", "sec_pagetables", anon, ""},
		{"SReclaimable", "", "slab_reclaimable", file, ""},
		{"KReclaimable", "SReclaimable", "slab_reclaimable", file, ""},
		{"SUnreclaim", "", "slab_unreclaimable", anon, ""},
		{"Active(anon)", "", "active_anon", anon, ""},
		{"Inactive(anon)", "", "inactive_anon", anon, ""},
		{"Active(file)", "", "active_file", file, ""},
		{"Inactive(file)", "", "inactive_file", file, ""},
		{"Unevictable", "", "unevictable", "unevictable", ""},
		{"Mapped", "", "file_mapped", "", "FilePages"},
		{"Dirty", "", "file_dirty", "", "FilePages"},
		{"Writeback", "", "file_writeback", "", "MemUsed"},
		{"SwapCached", "", "swapcached", "", "MemUsed"},
		{"AnonHugePages", "", "anon_thp", "", "AnonPages"},
		{"ShmemHugePages", "", "shmem_thp", "", "Shmem"},
		{"FileHugePages", "", "file_thp", "", "FilePages"},
	}
}

// room is what decides how much room the nodes have for a kind of memory: their
// size, and what of the other kinds is there.
func room() []Input {
	room := append(shownNodes(), host(nodePath+"node#/meminfo MemTotal"), numaStat("file", "file"))
	for _, k := range nodeKinds() {
		room = append(room, numaStat(k.key, k.v1))
	}
	return append(room, of(
		"MemTotal", "MemFree", "AnonPages", "Shmem", "Cached", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "SecPageTables",
	)...)
}

func nodeMeminfo() File {
	const path = nodePath + "node#/meminfo"
	node := func(fields ...string) (inputs []Input) {
		for _, field := range fields {
			inputs = append(inputs, shown(path+" "+field))
		}
		return inputs
	}
	room := []Input{term("room")}
	f := File{
		Path: path, LinesOf: shownNodes(), Lines: "the node is there if it is in node/online", Hosts: []Case{rootCgroup()},
		Rows: []Row{
			{
				Field: "MemTotal", Kind: Computed, Inputs: room,
				Formula: "MemTotal of proc/meminfo × the node's host MemTotal ÷ Σ over shown nodes of it; at least MemUsed",
			},
			{Field: "MemFree", Kind: Computed, Formula: "what is left of MemTotal; Σ over nodes is MemFree of proc/meminfo", Inputs: room},
			{Field: "MemUsed", Kind: Computed, Formula: "MemTotal − MemFree", Inputs: room},
			{Field: "Active", Kind: Computed, Formula: "Active(anon) + Active(file)", Inputs: node("Active(anon)", "Active(file)")},
			{Field: "Inactive", Kind: Computed, Formula: "Inactive(anon) + Inactive(file)", Inputs: node("Inactive(anon)", "Inactive(file)")},
			{Field: "Slab", Kind: Computed, Formula: "SReclaimable + SUnreclaim", Inputs: node("SReclaimable", "SUnreclaim")},
			{
				Field: "FilePages", Kind: Computed, Inputs: append(of("Cached", "Shmem"), room...),
				Formula: "(Cached − Shmem) of proc/meminfo, parted over nodes as file − shmem of memory.numa_stat, + Shmem",
			},
		},
	}
	for _, k := range nodeKinds() {
		name := k.field
		if k.meminfo != "" {
			name = k.meminfo
		}
		r := Row{
			Field: k.field, Kind: Computed, Inputs: append(of(name), numaStat(k.key, k.v1)),
			Formula: name + " of proc/meminfo, parted over nodes as " + k.key + " of memory.numa_stat",
		}
		if k.whole == "" {
			r.Inputs = append(r.Inputs, room...)
		} else {
			r.Formula += "; at most " + k.whole
			r.Inputs = append(r.Inputs, node(k.whole)...)
			r.Inputs = append(r.Inputs, room...)
		}
		f.Rows = append(f.Rows, r)
	}
	for _, field := range []string{"HugePages_Total", "HugePages_Free", "HugePages_Surp"} {
		f.Rows = append(f.Rows, Row{
			Field: field, Kind: Computed, Formula: field + " of proc/meminfo, parted over nodes as the host's are",
			Inputs: append(append(of(field, "HugePages_Total"), shownNodes()...), host(path+" "+field), host(path+" HugePages_Total"), host(path+" MemTotal")),
		})
	}
	for _, field := range []string{"Mlocked", "NFS_Unstable", "Bounce", "WritebackTmp", "ShmemPmdMapped", "FilePmdMapped"} {
		f.Rows = append(f.Rows, always(field, "0, as in proc/meminfo"))
	}
	f.Rows = append(f.Rows, hostRow("*", "the node's, where proc/meminfo has no such row; else that one, parted over nodes as the host's are"))
	return f
}
