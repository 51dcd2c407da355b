// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// VisibleCPUs returns the CPUs that a container is shown, in every file, by the
// kernel's numbers: the first n of those that are online and in its effective
// cpuset, where n is the smallest quota of the chain in CPUs, rounded up and at
// least 1. The result is a subset of what sched_getaffinity(2) gives its threads.
//
// Where a quota binds, threads still run on any CPU of the cpuset; a program that
// indexes by getcpu(2) what it sized by the visible CPUs needs [CPUViewCPUSet].
//
// The result is empty only when online is: if no CPU of the effective cpuset is
// online (the two were read at different times, and a CPU went offline between),
// every online CPU counts as the cpuset, for the kernel moves such a container's
// threads to its ancestors' CPUs.
func VisibleCPUs(online cpulist.Set, chain limits.CPUChain, p Policy) cpulist.Set {
	if p.CPUView == CPUViewHost {
		return online
	}
	usable := online
	if chain.HaveEffective {
		if usable = chain.Effective.Intersect(online); usable.IsEmpty() {
			usable = online
		}
	}
	if p.CPUView == CPUViewCPUSet {
		return usable
	}
	n := usable.Len()
	for i := range chain.Levels {
		if quota, limited := chain.Levels[i].Quota.CPUs(); limited {
			n = min(n, quota)
		}
	}
	return usable.First(n)
}
