// SPDX-License-Identifier: Apache-2.0

package procfile

// meminfoLabelWidth returns how many columns the kernel gives the name of a row,
// its colon and the blanks after it; the number follows in what is left of 24
// columns and pushes the rest to the right where it doesn't fit.
//
// show_val_kb (fs/proc/meminfo.c) prints names padded to 16 and %8lu. The rows
// that are printed elsewhere with %5lu differ, which shows as soon as a number
// has more than five digits: hugetlb_report_meminfo (mm/hugetlb.c),
// memtest_report_meminfo (mm/memtest.c) and HardwareCorrupted.
func meminfoLabelWidth(name []byte) int {
	const usual, narrow = 16, 19
	switch string(name) {
	case "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
		"EarlyMemtestBad", "HardwareCorrupted":
		return narrow
	}
	if len(name)+len(":") <= usual {
		return usual
	}
	return max(narrow, len(name)+len(": "))
}

// knownMeminfoRow says whether the kernel has a row of that name whose value is a
// number: fs/proc/meminfo.c, mm/hugetlb.c, arch/*/mm from Linux 3.14 to 6.18.
func knownMeminfoRow(name []byte) bool {
	switch string(name) {
	case "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached",
		"Active", "Inactive", "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)",
		"Unevictable", "Mlocked", "HighTotal", "HighFree", "LowTotal", "LowFree", "MmapCopy",
		"SwapTotal", "SwapFree", "Zswap", "Zswapped", "Dirty", "Writeback", "AnonPages", "Mapped",
		"Shmem", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack",
		"ShadowCallStack", "PageTables", "SecPageTables", "Quicklists", "NFS_Unstable", "Bounce",
		"WritebackTmp", "CommitLimit", "Committed_AS", "VmallocTotal", "VmallocUsed",
		"VmallocChunk", "Percpu", "EarlyMemtestBad", "HardwareCorrupted", "AnonHugePages",
		"ShmemHugePages", "ShmemPmdMapped", "FileHugePages", "FilePmdMapped", "CmaTotal",
		"CmaFree", "Unaccepted", "Balloon", "GPUActive", "GPUReclaim",
		"HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp", "Hugepagesize",
		"Hugetlb", "DirectMap4k", "DirectMap64k", "DirectMap1M", "DirectMap2M", "DirectMap4M",
		"DirectMap1G", "DirectMap2G":
		return true
	}
	return false
}
