// SPDX-License-Identifier: Apache-2.0

package limits

import "time"

// CPUTime is what a container's processes have run for since their cgroup was
// made, and what its quotas refused them, read together with the limits.
type CPUTime struct {
	// Total is v2's usage_usec of cpu.stat; v1's cpuacct.usage, or the sum of
	// PerCPU where the kernel tells it for each CPU.
	Total time.Duration
	// User and System are v2's user_usec and system_usec, which add up to Total.
	// v1 counts them in ticks (cpuacct.stat): there only their ratio is good,
	// their sum can be far from Total.
	User, System time.Duration
	// PerCPU is v1's cpuacct.usage_percpu by CPU id, possible CPUs that are
	// offline included; nil on v2, which doesn't tell.
	PerCPU []time.Duration
	// Chain are the quotas, with what each refused.
	Chain CPUChain
}

// DeviceIO is what a container's processes read from and wrote to one block
// device: v2 io.stat, v1 blkio.throttle.io_serviced_recursive and
// io_service_bytes_recursive. Descendants are included.
type DeviceIO struct {
	Major, Minor                        uint32
	ReadBytes, WriteBytes, DiscardBytes uint64
	ReadCount, WriteCount, DiscardCount uint64
}

// Counter is one line "key number" of a cgroup file, such as "pgfault 12" of
// memory.stat.
type Counter struct {
	Name  string
	Value uint64 // bytes, pages or events, as the file has it
}

// NodeMemory is what a container has on one NUMA node: v2 memory.numa_stat, in
// bytes. v1 tells less there, and of the reclaim lists: Anon is the anonymous
// ones together, shmem included, File those of files, and Unevictable.
type NodeMemory struct {
	Node int
	Stat MemoryStat // what numa_stat tells; the rest is 0
}
