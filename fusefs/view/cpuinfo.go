// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// CPUInfo returns the container's /proc/cpuinfo: the host's blocks of the
// visible CPUs, with the text before and after all blocks.
//
// Where CPUs of a package are hidden, its "siblings" become the visible CPUs and
// "cpu cores" the distinct cores among them, as tools that divide one by the
// other expect. s390's count of processors is that of the visible ones. With
// [NumberingContiguous] the shown CPUs are numbered 0, 1, 2, … in "processor";
// "apicid" stays, for it names the hardware.
//
// If host has none of the visible CPUs (one went offline between two reads), the
// same number of blocks from its start is shown: the file is never empty.
func CPUInfo(host *procfile.CPUInfo, visible cpulist.Set, p Policy) *procfile.CPUInfo {
	dst := new(procfile.CPUInfo)
	CPUInfoInto(dst, host, visible, p)
	return dst
}

// CPUInfoInto is [CPUInfo] into a value that is reused. dst must not be host.
func CPUInfoInto(dst, host *procfile.CPUInfo, visible cpulist.Set, p Policy) {
	dst.CopyHead(host)
	for i := range host.Blocks {
		if visible.Has(host.Blocks[i].CPU) {
			dst.Blocks = append(dst.Blocks, host.Blocks[i])
		}
	}
	if len(dst.Blocks) == 0 {
		for i := range host.Blocks {
			if i < max(1, visible.Len()) || slices.ContainsFunc(dst.Blocks, sameCPU(host.Blocks[i].CPU)) {
				dst.Blocks = append(dst.Blocks, host.Blocks[i])
			}
		}
	}
	adjustPackages(dst.Blocks, host.Blocks)

	// A CPU can have two blocks (s390), so its rank isn't the block's.
	var stack [128]int
	ids := stack[:0]
	for i := range dst.Blocks {
		ids = append(ids, dst.Blocks[i].CPU)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(dst.Blocks) < len(host.Blocks) {
		dst.SetProcessors(len(ids))
	}
	if p.Numbering == NumberingContiguous {
		for i := range dst.Blocks {
			rank, _ := slices.BinarySearch(ids, dst.Blocks[i].CPU)
			dst.Blocks[i].SetNumber(procfile.Processor, rank)
		}
	}
}

func sameCPU(cpu int) func(procfile.CPUBlock) bool {
	return func(b procfile.CPUBlock) bool { return b.CPU == cpu }
}

// A cpuPackage is what tells one package from another. Only s390 has books and
// drawers; elsewhere they are "".
type cpuPackage struct{ drawer, book, physical string }

func packageOf(b *procfile.CPUBlock) (key cpuPackage) {
	key.drawer, _ = b.Get(procfile.DrawerID)
	key.book, _ = b.Get(procfile.BookID)
	key.physical, _ = b.Get(procfile.PhysicalID)
	return key
}

// adjustPackages sets siblings and cpu cores of every package of which only some
// blocks are shown. Packages shown whole keep the kernel's own numbers, which
// need not be these sums: some CPUs number their cores per die, and then two
// cores of a package have the same id.
func adjustPackages(shown, host []procfile.CPUBlock) {
	if len(shown) == len(host) {
		return
	}
	var stackDone [8]cpuPackage
	var stackCores [128]string
	done, cores := stackDone[:0], stackCores[:0]
	for i := range shown {
		key := packageOf(&shown[i])
		if _, ok := shown[i].Number(procfile.Siblings); !ok || slices.Contains(done, key) {
			continue
		}
		done = append(done, key)
		siblings := 0
		cores = cores[:0]
		for j := i; j < len(shown); j++ {
			if _, ok := shown[j].Number(procfile.Siblings); ok && packageOf(&shown[j]) == key {
				siblings++
				if core, ok := shown[j].Get(procfile.CoreID); ok {
					cores = append(cores, core)
				}
			}
		}
		if siblings == countSiblings(host, key) {
			continue
		}
		slices.Sort(cores)
		distinct := len(slices.Compact(cores))
		for j := i; j < len(shown); j++ {
			if packageOf(&shown[j]) == key {
				shown[j].SetNumber(procfile.Siblings, siblings)
				if distinct > 0 {
					shown[j].SetNumber(procfile.CPUCores, distinct)
				}
			}
		}
	}
}

// countSiblings counts the blocks that belong to a package.
func countSiblings(blocks []procfile.CPUBlock, key cpuPackage) int {
	n := 0
	for i := range blocks {
		if _, ok := blocks[i].Number(procfile.Siblings); ok && packageOf(&blocks[i]) == key {
			n++
		}
	}
	return n
}
