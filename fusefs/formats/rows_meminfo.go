// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

const meminfoPath = "proc/meminfo"

// of is a row of the same file.
func of(fields ...string) (inputs []Input) {
	for _, field := range fields {
		inputs = append(inputs, shown(meminfoPath+" "+field))
	}
	return inputs
}

// ownStat is a key of memory.stat; v1's has total_ before it.
func ownStat(key, v1 string) Input {
	in := own("memory.stat "+key, "")
	if v1 != "" {
		in.V1 = "memory.stat total_" + v1
	}
	return in
}

func chainStat(key, v1 string) Input {
	in := ownStat(key, v1)
	in.From = OfChain
	return in
}

func memoryMax() Input  { return chain("memory.max", "memory.limit_in_bytes") }
func memoryHigh() Input { return chain("memory.high", "") }

// usage is what a level uses.
func usage() []Input {
	return []Input{
		chain("memory.current", "memory.usage_in_bytes"),
		chainStat("inactive_anon", "inactive_anon"), chainStat("active_anon", "active_anon"),
		chainStat("inactive_file", "inactive_file"), chainStat("active_file", "active_file"),
		chainStat("unevictable", "unevictable"),
		chainStat("anon", "rss"), chainStat("file", "cache"),
		chainStat("slab_reclaimable", ""), chainStat("slab_unreclaimable", ""),
		chainStat("kernel_stack", ""), chainStat("pagetables", ""), chainStat("sec_pagetables", ""),
		chainStat("percpu", ""), chainStat("vmalloc", ""), chainStat("zswap", ""),
	}
}

// What memory.high makes of a row.
func withHigh(formula string, inputs []Input) Variant {
	return Variant{
		Policy: "memory-high", In: func(p view.Policy) bool { return p.MemoryHigh },
		Kind: Computed, Formula: formula, Inputs: append([]Input{memoryHigh()}, inputs...),
	}
}

func noSwap() Variant {
	return Variant{
		Policy: "swap=none", In: func(p view.Policy) bool { return p.Swap == view.SwapNone },
		Kind: Constant, Formula: "0",
	}
}

// left is what there is for a kind of memory: usage can be above a limit.
func left() []Input {
	return append(of("MemTotal", "MemFree"), ownStat("shmem", "shmem"))
}

// part is a row that memory.stat has a key for, at most what is left for it.
func part(field, key, v1 string) Row {
	return Row{Field: field, Kind: Cgroup, Formula: key + ", ≤ left", Inputs: []Input{ownStat(key, v1), term("left")}}
}

// within is a row that memory.stat has a key for and that is a part of another.
func within(field, key, v1 string, whole ...string) Row {
	r := Row{Field: field, Kind: Cgroup, Formula: key + ", ≤ " + strings.Join(whole, " − "), Inputs: []Input{ownStat(key, v1)}}
	r.Inputs = append(r.Inputs, of(whole...)...)
	return r
}

// sum is a row that is the sum of others.
func sum(field string, parts ...string) Row {
	return Row{Field: field, Kind: Computed, Formula: strings.Join(parts, " + "), Inputs: of(parts...)}
}

func meminfo() File {
	total := []Input{host("proc/meminfo MemTotal"), memoryMax()}
	free := []Input{
		memoryMax(), term("usage"), shown("proc/meminfo MemTotal"), host("proc/meminfo MemAvailable"), host("proc/meminfo MemFree"),
	}
	available := []Input{memoryMax(), memoryHigh(), term("usage"), shown("proc/meminfo MemTotal"), host("proc/meminfo MemAvailable")}

	f := File{Path: meminfoPath, Hosts: []Case{rootCgroup()}}
	f.Rows = append(
		f.Rows,
		Row{
			Field: "MemTotal", Kind: Computed, Inputs: total, Formula: "min(host, min over chain of memory.max); never 0",
			With: []Variant{withHigh("min(host, min over chain of memory.max and memory.high); never 0", total)},
		},
		Row{
			Field: "MemFree", Kind: Computed, Inputs: free,
			Formula: "min over chain of (memory.max − usage), ≤ host MemAvailable (MemFree where the host has no such row)",
			With:    []Variant{withHigh("min over chain of (min(memory.max, memory.high) − usage), ≤ host MemAvailable", free)},
		},
		Row{
			Field: "MemAvailable", Kind: Computed, Inputs: available,
			Formula: "min over chain of (min(memory.max, memory.high) − usage + inactive_file + active_file + slab_reclaimable), ≤ host MemAvailable",
		},
		always("Buffers", "0: no cgroup counts them apart; Cached has them"),
		Row{
			Field: "Cached", Kind: Cgroup, Formula: "file, ≤ left",
			Inputs: []Input{ownStat("file", "cache"), term("left")},
		},
		within("SwapCached", "swapcached", "swapcached", "SwapTotal", "SwapFree", "MemTotal", "MemFree"),
		sum("Active", "Active(anon)", "Active(file)"),
		sum("Inactive", "Inactive(anon)", "Inactive(file)"),
		part("Active(anon)", "active_anon", "active_anon"),
		part("Inactive(anon)", "inactive_anon", "inactive_anon"),
		part("Active(file)", "active_file", "active_file"),
		part("Inactive(file)", "inactive_file", "inactive_file"),
		part("Unevictable", "unevictable", "unevictable"),
		always("Mlocked", "0"),
	)
	f.Rows = append(f.Rows, swapRows()...)
	f.Rows = append(
		f.Rows,
		within("Dirty", "file_dirty", "dirty", "Cached"),
		within("Writeback", "file_writeback", "writeback", "MemTotal", "MemFree"),
		part("AnonPages", "anon", "rss"),
		within("Mapped", "file_mapped", "mapped_file", "Cached"),
		Row{
			Field: "Shmem", Kind: Cgroup, Formula: "shmem, ≤ file and left",
			Inputs: []Input{ownStat("shmem", "shmem"), ownStat("file", "cache"), term("left")},
		},
		sum("KReclaimable", "SReclaimable"),
		sum("Slab", "SReclaimable", "SUnreclaim"),
		part("SReclaimable", "slab_reclaimable", ""),
		part("SUnreclaim", "slab_unreclaimable", ""),
		part("KernelStack", "kernel_stack", ""),
		part("PageTables", "pagetables", ""),
		part("SecPageTables", "sec_pagetables", ""),
		always("NFS_Unstable", "0"),
		always("Bounce", "0"),
		always("WritebackTmp", "0"),
		Row{
			Field: "CommitLimit", Kind: Computed, Formula: "(MemTotal − Hugetlb) × host overcommit_ratio ÷ 100 + SwapTotal; with overcommit_kbytes min(that, MemTotal) + SwapTotal",
			Inputs: append([]Input{host("proc/sys/vm/overcommit_ratio"), host("proc/sys/vm/overcommit_kbytes")}, of("MemTotal", "Hugetlb", "SwapTotal")...),
		},
		Row{
			Field: "Committed_AS", Kind: Computed, Formula: "AnonPages + Shmem + swap used",
			Inputs: append([]Input{swapUsed(OfCgroup)}, of("AnonPages", "Shmem")...),
		},
		part("VmallocUsed", "vmalloc", ""),
		part("Percpu", "percpu", ""),
		always("HardwareCorrupted", "0"),
		within("AnonHugePages", "anon_thp", "rss_huge", "AnonPages"),
		within("ShmemHugePages", "shmem_thp", "", "Shmem"),
		within("FileHugePages", "file_thp", "", "Cached", "Shmem"),
	)
	f.Rows = append(f.Rows, hugeRows()...)
	f.Rows = append(
		f.Rows,
		always("DirectMap*", "0: it would tell the host's size"),
		always("Cma*", "0"),
		always("*PmdMapped", "0"),
		hostRow("VmallocTotal", "the host's: how much address space there is"),
		hostRow("VmallocChunk", "the host's: 0 since Linux 4.4"),
		hostRow("Hugepagesize", "the host's"),
		hostRow("*", "the host's line, unchanged"),
	)
	return f
}

func swapUsed(from From) Input {
	return Input{From: from, Name: "memory.swap.current", V1: "memory.stat total_swap"}
}

func swapRows() []Row {
	limits := []Input{
		chain("memory.swap.max", "memory.memsw.limit_in_bytes"),
		chain("", "memory.limit_in_bytes"), // taken off the sum
	}
	total := append([]Input{host("proc/meminfo SwapTotal"), swapUsed(OfCgroup)}, limits...)
	free := append([]Input{host("proc/meminfo SwapFree"), swapUsed(OfChain), limits[0]}, of("SwapTotal")...)
	zswapped := within("Zswapped", "zswapped", "", "SwapTotal", "SwapFree")
	zswapped.With = []Variant{noSwap()}
	return []Row{
		{
			Field: "SwapTotal", Kind: Computed, Inputs: total, With: []Variant{noSwap()},
			Formula: "min(host, min over chain of memory.swap.max; v1: of memsw limit, less that of memory), at least what is used",
		},
		{
			Field: "SwapFree", Kind: Computed, Inputs: free, With: []Variant{noSwap()},
			Formula: "SwapTotal − swap used, ≤ host SwapFree and min over chain of (memory.swap.max − memory.swap.current)",
		},
		part("Zswap", "zswap", ""),
		zswapped,
	}
}

func hugeRows() []Row {
	const words = "; the host's where the hugetlb controller is off"
	size, pages := host("proc/meminfo Hugepagesize"), host("proc/meminfo HugePages_Total")
	limit := chain("hugetlb.*.max", "hugetlb.*.limit_in_bytes")
	used := own("hugetlb.*.current", "hugetlb.*.usage_in_bytes")
	chainUsed := chain(used.Name, used.V1)
	// Where the host has no huge pages, the cgroup isn't asked.
	whether := host("proc/meminfo Hugetlb")
	return []Row{
		{
			Field: "HugePages_Total", Kind: Computed, Inputs: []Input{pages, size, whether, limit, used},
			Formula: "min(host, min over chain of hugetlb.SIZE.max ÷ SIZE), at least what is used, for the default SIZE" + words,
		},
		{
			Field: "HugePages_Free", Kind: Computed,
			Inputs:  append([]Input{host("proc/meminfo HugePages_Free"), size, whether, limit, chainUsed}, of("HugePages_Total")...),
			Formula: "HugePages_Total − hugetlb.SIZE.current ÷ SIZE, ≤ host and min over chain of what is left" + words,
		},
		{
			Field: "HugePages_Rsvd", Kind: Computed,
			Inputs: append([]Input{
				host("proc/meminfo HugePages_Rsvd"), size, whether, used, own("hugetlb.*.rsvd.current", "hugetlb.*.rsvd.usage_in_bytes"),
			}, of("HugePages_Free")...),
			Formula: "(hugetlb.SIZE.rsvd.current − hugetlb.SIZE.current) ÷ SIZE, ≤ host and HugePages_Free" + words,
		},
		{
			Field: "HugePages_Surp", Kind: Constant, Formula: "0" + words,
			Inputs: []Input{host("proc/meminfo HugePages_Surp"), size, whether},
		},
		{
			Field: "Hugetlb", Kind: Computed, Inputs: append([]Input{whether, pages, size, limit, used}, of("HugePages_Total")...),
			Formula: "HugePages_Total × Hugepagesize + min(host's of other sizes, what the cgroup may have of them)" + words,
		},
	}
}
