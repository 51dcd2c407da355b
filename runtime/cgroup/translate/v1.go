// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The v1 half of the table; sources in Documentation/admin-guide/cgroup-v1/.

func (p *plan) cpuV1(r *specs.LinuxCPU) {
	if r.Idle != nil {
		// Before shares: an idle cgroup refuses a weight (sched_group_set_shares).
		p.addf("cpu", "cpu.idle", "%d", *r.Idle)
	}
	if set(r.Shares) {
		p.addf("cpu", "cpu.shares", "%d", *r.Shares)
	}
	p.bandwidthV1(r)
	// The period first: the runtime must fit into it.
	if set(r.RealtimePeriod) {
		p.addf("cpu", "cpu.rt_period_us", "%d", *r.RealtimePeriod)
	}
	if set(r.RealtimeRuntime) {
		p.addf("cpu", "cpu.rt_runtime_us", "%d", *r.RealtimeRuntime)
	}
}

// bandwidthV1 orders quota, period and burst. After every single write the
// kernel checks quota/period against the parent's and the children's ratio and
// burst against quota (kernel/sched/core.c, tg_set_cfs_bandwidth). So while a
// value changes, the ratio may pass through nothing that is higher than both
// the old and the new one: a longer period goes first, a shorter one last. The
// same with burst and quota: a smaller burst first, a larger one last.
func (p *plan) bandwidthV1(r *specs.LinuxCPU) {
	const quotaFile, periodFile, burstFile = "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"
	quota := func() {
		if set(r.Quota) {
			p.addf("cpu", quotaFile, "%d", max(*r.Quota, -1))
		}
	}
	period := func() {
		if set(r.Period) {
			p.addf("cpu", periodFile, "%d", *r.Period)
		}
	}
	p.burst(r, burstFile, func() {
		oldQuota, _ := p.number("cpu", quotaFile)
		oldPeriod, ok := p.number("cpu", periodFile)
		if ok && oldQuota > 0 && set(r.Period) && *r.Period < uint64(oldPeriod) {
			quota()
			period()
			return
		}
		period()
		quota()
	})
}

// burst puts the change of the burst file before or after those of quota.
func (p *plan) burst(r *specs.LinuxCPU, file string, quota func()) {
	if r.Burst == nil {
		quota()
		return
	}
	old, _ := p.number("cpu", file)
	if *r.Burst <= uint64(max(old, 0)) {
		p.addf("cpu", file, "%d", *r.Burst)
		quota()
		return
	}
	quota()
	p.addf("cpu", file, "%d", *r.Burst)
}

func (p *plan) memoryV1(r *specs.LinuxMemory) {
	p.memoryLimitsV1(r)
	if set(r.Reservation) {
		p.addf("memory", "memory.soft_limit_in_bytes", "%d", max(*r.Reservation, -1))
	}
	// r.Kernel is not written: the kernel took the limit away in 5.16 and
	// charges kernel memory to the cgroup's limit; the specification lets
	// runtimes ignore it.
	if set(r.KernelTCP) {
		p.addf("memory", "memory.kmem.tcp.limit_in_bytes", "%d", max(*r.KernelTCP, -1))
	}
	if r.Swappiness != nil {
		p.addf("memory", "memory.swappiness", "%d", *r.Swappiness)
	}
	if r.DisableOOMKiller != nil {
		p.addf("memory", "memory.oom_control", "%d", bit(*r.DisableOOMKiller))
	}
}

// memoryLimitsV1 orders memory.limit_in_bytes and memory.memsw.limit_in_bytes:
// the first may never exceed the second (EINVAL), so raising starts with
// memsw, lowering with memory.
func (p *plan) memoryLimitsV1(r *specs.LinuxMemory) {
	const memory, memsw = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	limit := func() {
		if set(r.Limit) {
			p.addf("memory", memory, "%d", max(*r.Limit, -1))
		}
	}
	old, counted := p.number("memory", memsw)
	switch {
	case !set(r.Swap):
		if set(r.Limit) && *r.Limit < 0 && counted {
			// Without this, "no limit" would fail where memsw has one.
			p.add("memory", memsw, "-1")
		}
		limit()
	case !counted && *r.Swap < 0:
		limit() // no swap accounting is no limit
	case *r.Swap < 0 || *r.Swap > old:
		p.addf("memory", memsw, "%d", max(*r.Swap, -1))
		limit()
	default:
		limit()
		p.addf("memory", memsw, "%d", *r.Swap)
	}
}

func (p *plan) blkioV1(r *specs.LinuxBlockIO) {
	// The CFQ scheduler had blkio.weight until Linux 5.0; BFQ brings its own.
	weight, perDevice := "blkio.weight", "blkio.weight_device"
	if !p.has("blkio", weight) && p.has("blkio", "blkio.bfq.weight") {
		weight, perDevice = "blkio.bfq.weight", "blkio.bfq.weight_device"
	}
	if set(r.Weight) {
		p.addf("blkio", weight, "%d", *r.Weight)
	}
	if set(r.LeafWeight) {
		p.addf("blkio", "blkio.leaf_weight", "%d", *r.LeafWeight)
	}
	for _, d := range r.WeightDevice {
		if d.Weight != nil {
			p.addf("blkio", perDevice, "%d:%d %d", d.Major, d.Minor, *d.Weight)
		}
		if d.LeafWeight != nil {
			p.addf("blkio", "blkio.leaf_weight_device", "%d:%d %d", d.Major, d.Minor, *d.LeafWeight)
		}
	}
	for _, t := range Throttles(r) {
		for _, d := range t.Devices {
			// 0 takes the rule away: no limit.
			p.addf("blkio", t.fileV1, "%d:%d %d", d.Major, d.Minor, d.Rate)
		}
	}
}

func (p *plan) networkV1(r *specs.LinuxNetwork) {
	if r.ClassID != nil {
		p.addf("net_cls", "net_cls.classid", "%d", *r.ClassID)
	}
	for _, i := range r.Priorities {
		p.addf("net_prio", "net_prio.ifpriomap", "%s %d", i.Name, i.Priority)
	}
}

// devicesV1 writes the device rules in their order. A new cgroup has its
// parent's rules, so a list usually starts with "deny all".
func (p *plan) devicesV1(rules []specs.LinuxDeviceCgroup) {
	for _, r := range rules {
		file := "devices.deny"
		if r.Allow {
			file = "devices.allow"
		}
		kind, access := r.Type, r.Access
		switch kind {
		case "":
			kind = "a"
		case "u": // mknod(1)'s other word for c
			kind = "c"
		}
		if access == "" {
			access = "rwm"
		}
		p.addf("devices", file, "%s %s:%s %s", kind, deviceNumber(r.Major), deviceNumber(r.Minor), access)
	}
}

// deviceNumber is v1's form of a device number; missing or negative is any.
func deviceNumber(n *int64) string {
	if n == nil || *n < 0 {
		return "*"
	}
	return strconv.FormatInt(*n, 10)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
