// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// SwapNumbers returns the SwapTotal and the SwapFree, in bytes, of the file that
// [Meminfo] makes of the same arguments: for an empty chain the host's.
func SwapNumbers(host *procfile.Meminfo, chain limits.MemoryChain, p Policy) (total, free uint64) {
	h := readHostMemory(host)
	if len(chain) == 0 {
		return h.swapTotal, h.swapFree
	}
	var m memory
	m.setSwap(&h, chain, p)
	return m.swapTotal, m.swapFree
}

// SwapsInto makes the container's /proc/swaps: the host's headings and, if the
// container may swap, one area that has what [SwapNumbers] returned. Which areas
// of the host its pages go to, no cgroup file tells. dst, which is reused, must not
// be host.
//
// For the root cgroup (an empty chain) the caller shows the host's file unchanged
// instead.
func SwapsInto(dst, host *procfile.Swaps, total, free uint64) {
	dst.CopyHeadings(host)
	if total == 0 {
		return
	}
	dst.Add(procfile.SwapArea{
		Name:     "none", // as LXCFS calls it
		Type:     "virtual",
		Size:     total,
		Used:     sub(total, free),
		Priority: -2, // what the kernel gives the first area that was given none
	})
}
