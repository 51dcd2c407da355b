// SPDX-License-Identifier: Apache-2.0

package view

import "github.com/procfs-shim/procfs-shim/cgroupread/limits"

// setHugetlb sets the huge pages of the default size that the container may use,
// and the bytes in huge pages of every size.
//
// Source: kernel Documentation/admin-guide/mm/hugetlbpage.rst for the rows,
// Documentation/admin-guide/cgroup-v2.rst (HugeTLB) for the controller.
func (m *memory) setHugetlb(h *hostMemory, chain limits.HugetlbChain) {
	m.hugetlb = h.hugetlb
	size := h.hugePageSize
	if size == 0 {
		return
	}
	pages, ok := chain.Size(size)
	if !ok {
		return
	}
	m.huge = true
	used := min(pages.Usage/size, h.hugeTotal)
	m.hugeTotal = max(used, min(pages.Max.AtMost(mul(h.hugeTotal, size))/size, h.hugeTotal))
	m.hugeFree = min(m.hugeTotal-used, h.hugeFree)
	m.hugeFree = min(m.hugeFree, chain.Free(size).AtMost(mul(m.hugeTotal, size))/size)
	// A reservation counts until it is given up; the row counts those that have
	// no page yet.
	reserved := sub(pages.ReservedUsage, pages.Usage) / size
	m.hugeReserved = min(reserved, h.hugeReserved, m.hugeFree)

	// Of the other sizes the host's file says only what they take together.
	others := sub(h.hugetlb, mul(h.hugeTotal, size))
	m.hugetlb = add(mul(m.hugeTotal, size), otherSizes(chain, size).AtMost(others))
}

// otherSizes is how much the container may have in huge pages of sizes other
// than size; no limit if one of them has none or nothing is known of them.
func otherSizes(chain limits.HugetlbChain, size uint64) limits.Limit {
	sum := limits.None()
	for i := range chain[0].Sizes {
		other := chain[0].Sizes[i].PageSize
		if other == size || other == 0 {
			continue
		}
		pages, _ := chain.Size(other)
		most, limited := pages.Max.Value()
		if !limited {
			return limits.None()
		}
		if sum == limits.None() {
			sum = limits.To(0)
		}
		sum = sum.Plus(max(floor(most, other), pages.Usage))
	}
	return sum
}
