// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The v2 half of the table; source: Documentation/admin-guide/cgroup-v2.rst.

func (p *plan) cpuV2(r *specs.LinuxCPU) {
	if r.Idle != nil {
		p.addf("cpu", "cpu.idle", "%d", *r.Idle)
	}
	if set(r.Shares) {
		p.addf("cpu", "cpu.weight", "%d", WeightOfShares(*r.Shares))
	}
	p.burst(r, "cpu.max.burst", func() {
		if value := cpuMax(r, p.now); value != "" {
			p.add("cpu", "cpu.max", value)
		}
	})
}

// cpuMax is the value of cpu.max, "QUOTA PERIOD", or "" for no change. A quota
// alone leaves the period as it is (the kernel's default is 100000); a period
// alone needs the quota of now beside it, since the first word is mandatory.
func cpuMax(r *specs.LinuxCPU, now Files) string {
	quota := ""
	if set(r.Quota) {
		quota = orMax(*r.Quota)
	}
	switch {
	case !set(r.Period):
		return quota
	case quota == "":
		quota = "max"
		if text, ok := now("cpu", "cpu.max"); ok {
			if fields := strings.Fields(text); len(fields) > 0 {
				quota = fields[0]
			}
		}
	}
	return fmt.Sprintf("%s %d", quota, *r.Period)
}

func (p *plan) memoryV2(r *specs.LinuxMemory) {
	if value, ok := swapMax(r); ok && (value != "max" || p.has("memory", "memory.swap.max")) {
		p.add("memory", "memory.swap.max", value)
	}
	if set(r.Limit) {
		p.add("memory", "memory.max", orMax(*r.Limit))
	}
	if set(r.Reservation) {
		// As runc: v1's soft limit is what reclaim leaves to the cgroup.
		p.add("memory", "memory.low", orMax(*r.Reservation))
	}
}

// swapMax is the value of memory.swap.max: v1's memory+swap less the memory.
// "No limit" for memory alone is one for swap too, as v1's memsw has it.
func swapMax(r *specs.LinuxMemory) (string, bool) {
	switch {
	case !set(r.Swap):
		return "max", set(r.Limit) && *r.Limit < 0
	case *r.Swap < 0:
		return "max", true
	}
	return strconv.FormatInt(*r.Swap-*r.Limit, 10), true // Validate: 0 < limit ≤ swap
}

func (p *plan) ioV2(r *specs.LinuxBlockIO) {
	// io.weight belongs to iocost, io.bfq.weight to disks with the BFQ
	// scheduler; where both are there, both may be in force, each on its disks.
	const cost, bfq = "io.weight", "io.bfq.weight"
	hasBFQ := p.has("io", bfq)
	hasCost := p.has("io", cost) || !hasBFQ // neither: the write says so
	if set(r.Weight) {
		if hasCost {
			p.addf("io", cost, "%d", IOWeight(*r.Weight))
		}
		if hasBFQ {
			p.addf("io", bfq, "%d", *r.Weight)
		}
	}
	for _, d := range r.WeightDevice {
		if d.Weight == nil {
			continue
		}
		if hasCost {
			p.addf("io", cost, "%d:%d %d", d.Major, d.Minor, IOWeight(*d.Weight))
		}
		if hasBFQ {
			p.addf("io", bfq, "%d:%d %d", d.Major, d.Minor, *d.Weight)
		}
	}
	for _, t := range Throttles(r) {
		for _, d := range t.Devices {
			rate := "max" // 0 is no limit; the kernel refuses a literal 0
			if d.Rate > 0 {
				rate = strconv.FormatUint(d.Rate, 10)
			}
			p.addf("io", "io.max", "%d:%d %s=%s", d.Major, d.Minor, t.keyV2, rate)
		}
	}
}

// unified writes files by their own names. Files such as io.max take one line
// per write(2).
func (p *plan) unified(values map[string]string) {
	for _, file := range slices.Sorted(maps.Keys(values)) {
		for line := range strings.SplitSeq(strings.TrimRight(values[file], "\n"), "\n") {
			p.add(ControllerOf(file), file, line)
		}
	}
}

// ControllerOf is the controller that a v2 file belongs to, "" for cgroup2's
// own: the name up to the first dot.
func ControllerOf(file string) string {
	name, _, _ := strings.Cut(file, ".")
	if name == "cgroup" {
		return ""
	}
	return name
}
