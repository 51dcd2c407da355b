// SPDX-License-Identifier: Apache-2.0

// Package translate holds the table of limits: which field of an OCI
// [specs.LinuxResources] goes to which cgroup file, in which form and in which
// order.
//
// It is pure. What it turns into what: resources, and a look into the cgroup
// that is to be changed, into a list of [Change], each one write(2). Package
// cgroup validates the values before, finds the directories and writes.
//
// v1.go and v2.go are the two halves of the table; a controller is on one of
// them, and on a hybrid host some are here and some there. Where an order
// matters, because the kernel checks one file against another with every
// write, the function says which rule it follows.
package translate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Change is one write(2) into one file of a cgroup.
type Change struct {
	Controller string // whose hierarchy; "" is cgroup2 itself
	File       string
	Value      string
}

// Files looks into the cgroup that is to be changed. A file that isn't there
// reads as "", false.
type Files func(controller, file string) (value string, ok bool)

// plan collects the changes of one LinuxResources value in the order in which
// the kernel takes them. The value has passed Validate.
type plan struct {
	now     Files
	changes []Change
}

func (p *plan) add(controller, file, value string) {
	p.changes = append(p.changes, Change{controller, file, value})
}

func (p *plan) addf(controller, file, format string, args ...any) {
	p.add(controller, file, fmt.Sprintf(format, args...))
}

// has reports whether the cgroup has the file.
func (p *plan) has(controller, file string) bool {
	_, ok := p.now(controller, file)
	return ok
}

// number reads a file that holds one number, or v2's "max", which becomes the
// largest one.
func (p *plan) number(controller, file string) (int64, bool) {
	text, ok := p.now(controller, file)
	if !ok {
		return 0, false
	}
	if text == "max" {
		return maxInt64, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

const maxInt64 = 1<<63 - 1

// set reports whether p points at a value that asks for something: in memory
// and CPU fields 0 means "leave as it is".
func set[T int64 | uint64 | uint16](p *T) bool { return p != nil && *p != 0 }

// Plan is the table: every change that r asks for. onV2 tells for each
// controller whether cgroup2 has it. now may be nil for a cgroup with nothing
// in it, as long as it is only asked which controllers are needed.
func Plan(r *specs.LinuxResources, onV2 func(controller string) bool, now Files) []Change {
	if now == nil {
		now = func(string, string) (string, bool) { return "", false }
	}
	p := &plan{now: now}
	if r.CPU != nil {
		p.cpuset(r.CPU)
		pick(onV2("cpu"), p.cpuV1, p.cpuV2)(r.CPU)
	}
	if r.Memory != nil {
		pick(onV2("memory"), p.memoryV1, p.memoryV2)(r.Memory)
	}
	p.pids(r.Pids)
	if r.BlockIO != nil {
		pick(onV2("io"), p.blkioV1, p.ioV2)(r.BlockIO)
	}
	p.hugetlb(r.HugepageLimits, pick(onV2("hugetlb"), "limit_in_bytes", "max"))
	p.rdma(r.Rdma)
	if r.Network != nil {
		p.networkV1(r.Network)
	}
	if !onV2("devices") {
		p.devicesV1(r.Devices)
	}
	// Last: whoever writes file names has the last word.
	p.unified(r.Unified)
	return p.changes
}

func pick[T any](second bool, a, b T) T {
	if second {
		return b
	}
	return a
}

// cpuset.cpus and .mems have the same names in both versions.
func (p *plan) cpuset(r *specs.LinuxCPU) {
	if r.Cpus != "" {
		p.add("cpuset", "cpuset.cpus", r.Cpus)
	}
	if r.Mems != "" {
		p.add("cpuset", "cpuset.mems", r.Mems)
	}
}

// pids.max is the same file in both versions. 0 is a limit: no fork at all.
func (p *plan) pids(r *specs.LinuxPids) {
	if r == nil || r.Limit == nil {
		return
	}
	p.add("pids", "pids.max", orMax(*r.Limit))
}

// orMax is n, or "max" for a negative one.
func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

// hugetlb limits reservations where the kernel counts them (5.7), which fail at
// mmap(2), and use, which ends in SIGBUS, in any case. suffix is v1's
// "limit_in_bytes" or v2's "max".
func (p *plan) hugetlb(limits []specs.LinuxHugepageLimit, suffix string) {
	for _, l := range limits {
		value := strconv.FormatUint(l.Limit, 10)
		p.add("hugetlb", "hugetlb."+l.Pagesize+"."+suffix, value)
		if rsvd := "hugetlb." + l.Pagesize + ".rsvd." + suffix; p.has("hugetlb", rsvd) {
			p.add("hugetlb", rsvd, value)
		}
	}
}

// rdma.max is the same file in both versions and takes one device at a time.
func (p *plan) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		value := name
		if n := devices[name].HcaHandles; n != nil {
			value += fmt.Sprintf(" hca_handle=%d", *n)
		}
		if n := devices[name].HcaObjects; n != nil {
			value += fmt.Sprintf(" hca_object=%d", *n)
		}
		p.add("rdma", "rdma.max", value)
	}
}

// Throttles lists the four throttle tables with their v1 file and v2 key.
func Throttles(io *specs.LinuxBlockIO) []Throttle {
	return []Throttle{
		{"throttleReadBpsDevice", io.ThrottleReadBpsDevice, "blkio.throttle.read_bps_device", "rbps"},
		{"throttleWriteBpsDevice", io.ThrottleWriteBpsDevice, "blkio.throttle.write_bps_device", "wbps"},
		{"throttleReadIOPSDevice", io.ThrottleReadIOPSDevice, "blkio.throttle.read_iops_device", "riops"},
		{"throttleWriteIOPSDevice", io.ThrottleWriteIOPSDevice, "blkio.throttle.write_iops_device", "wiops"},
	}
}

// Throttle is one table of disks and their rates.
type Throttle struct {
	Field   string // the OCI name
	Devices []specs.LinuxThrottleDevice
	fileV1  string
	keyV2   string
}
