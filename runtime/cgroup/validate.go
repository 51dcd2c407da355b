// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup/translate"
)

// The kernel's bounds of quota and period in microseconds
// (kernel/sched/core.c: min_cfs_quota_period, max_cfs_quota_period).
const (
	minCFS = 1000
	maxCFS = 1000000
)

// Validate checks every value of r and whether this host has what it needs,
// reading only. The error is the first [*ValueError]; where a controller is
// missing it wraps [ErrNoController]. nil limits nothing.
//
// What only the kernel knows, such as whether a disk exists or a parent's
// limits leave room, [Create] reports, having undone what it made.
func Validate(r *specs.LinuxResources, host Host) error {
	if r == nil {
		return nil
	}
	v := &validator{host: host}
	v.memory(r.Memory)
	v.cpu(r.CPU)
	if r.Pids != nil && r.Pids.Limit != nil {
		v.need("pids", "pids.limit")
	}
	v.io(r.BlockIO)
	for _, l := range r.HugepageLimits {
		v.need("hugetlb", "hugepageLimits")
		v.check(fileWord(l.Pagesize), "hugepageLimits", l.Pagesize, "not a page size (such as 2MB or 1GB)")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Rdma)) {
		l := r.Rdma[name]
		v.need("rdma", "rdma")
		v.check(fileWord(name), "rdma", name, "not a device name")
		v.check(l.HcaHandles != nil || l.HcaObjects != nil, "rdma", name, "neither hcaHandles nor hcaObjects given")
	}
	v.network(r.Network)
	v.devices(r.Devices)
	v.unified(r.Unified)
	if len(v.errs) > 0 {
		return v.errs[0]
	}
	return nil
}

type validator struct {
	host Host
	errs []error
}

// check notes a bad value unless ok.
func (v *validator) check(ok bool, field string, value any, why string, args ...any) {
	if !ok {
		v.errs = append(v.errs, badValue(field, value, why, args...))
	}
}

// need notes a missing controller.
func (v *validator) need(controller, field string) {
	if !v.host.Has(controller) {
		v.errs = append(v.errs, &ValueError{Field: field, Err: fmt.Errorf("%s: %w (%s)", controller, ErrNoController, v.host)})
	}
}

func (v *validator) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	for _, f := range []struct {
		field string
		value *int64
	}{
		{"memory.limit", m.Limit},
		{"memory.swap", m.Swap},
		{"memory.reservation", m.Reservation},
		{"memory.kernelTCP", m.KernelTCP},
	} {
		if set(f.value) {
			v.need("memory", f.field)
			v.check(*f.value >= -1, f.field, *f.value, "neither a number of bytes nor -1 for no limit")
		}
	}
	limited := set(m.Limit) && *m.Limit > 0
	if set(m.Swap) && *m.Swap > 0 {
		v.check(limited, "memory.swap", *m.Swap, "memory and swap together can't be limited without a limit for memory")
		v.check(!limited || *m.Swap >= *m.Limit, "memory.swap", *m.Swap, "is memory and swap together, so not less than the memory limit %d", value(m.Limit))
		v.check(!v.host.Has("memory") || v.host.SwapLimit(), "memory.swap", *m.Swap, "this kernel counts no swap (start it with swapaccount=1)")
	}
	if set(m.Reservation) && *m.Reservation > 0 && limited {
		v.check(*m.Reservation <= *m.Limit, "memory.reservation", *m.Reservation, "more than the memory limit %d", *m.Limit)
	}
	v2 := v.host.onV2("memory")
	if m.Swappiness != nil {
		v.need("memory", "memory.swappiness")
		v.check(*m.Swappiness <= 100, "memory.swappiness", *m.Swappiness, "not from 0 to 100")
		v.check(!v2, "memory.swappiness", *m.Swappiness, "cgroup v2 has none")
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		v.need("memory", "memory.disableOOMKiller")
		v.check(!v2, "memory.disableOOMKiller", true, "cgroup v2 can't")
	}
	if set(m.KernelTCP) {
		v.check(!v2, "memory.kernelTCP", *m.KernelTCP, "cgroup v2 has none: it counts as memory")
	}
	if m.UseHierarchy != nil {
		v.check(*m.UseHierarchy, "memory.useHierarchy", false, "not possible since Linux 5.11")
	}
}

func (v *validator) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if set(c.Shares) {
		v.need("cpu", "cpu.shares")
		v.check(*c.Shares >= translate.MinShares && *c.Shares <= translate.MaxShares, "cpu.shares", *c.Shares, "not from %d to %d", translate.MinShares, translate.MaxShares)
	}
	if set(c.Quota) {
		v.need("cpu", "cpu.quota")
		v.check(*c.Quota == -1 || *c.Quota >= minCFS, "cpu.quota", *c.Quota, "less than the kernel's minimum of 1 ms (%d µs)", minCFS)
		v.check(*c.Quota < math.MaxInt64/1000, "cpu.quota", *c.Quota, "more microseconds than the kernel can count")
	}
	if set(c.Period) {
		v.need("cpu", "cpu.period")
		v.check(*c.Period >= minCFS && *c.Period <= maxCFS, "cpu.period", *c.Period, "not from 1 ms to 1 s (%d to %d µs)", minCFS, maxCFS)
	}
	if c.Burst != nil && *c.Burst > 0 {
		v.need("cpu", "cpu.burst")
		if set(c.Quota) && *c.Quota > 0 {
			v.check(*c.Burst <= uint64(*c.Quota), "cpu.burst", *c.Burst, "more than the quota %d", *c.Quota)
		}
	}
	if c.Idle != nil {
		v.need("cpu", "cpu.idle")
		v.check(*c.Idle == 0 || *c.Idle == 1, "cpu.idle", *c.Idle, "neither 0 nor 1")
		v.check(*c.Idle != 1 || !set(c.Shares), "cpu.idle", *c.Idle, "an idle cgroup takes no shares")
	}
	if set(c.RealtimePeriod) || set(c.RealtimeRuntime) {
		v.need("cpu", "cpu.realtimePeriod, cpu.realtimeRuntime")
		v.check(!v.host.onV2("cpu"), "cpu.realtimePeriod, cpu.realtimeRuntime", "", "cgroup v2 has none")
	}
	v.cpuset("cpu.cpus", c.Cpus, v.host.CPUs)
	v.cpuset("cpu.mems", c.Mems, v.host.Mems)
}

// cpuset checks a list against what this host has online.
func (v *validator) cpuset(field, text string, host func() (cpulist.Set, bool)) {
	if text == "" {
		return
	}
	v.need("cpuset", field)
	wanted, err := cpulist.Parse(text)
	if err != nil {
		v.errs = append(v.errs, &ValueError{Field: field, Value: text, Err: err})
		return
	}
	v.check(!wanted.IsEmpty(), field, text, "an empty list")
	if here, ok := host(); ok {
		v.check(wanted.Minus(here).IsEmpty(), field, text, "%s not available, this host has %s", wanted.Minus(here), here)
	}
}

func (v *validator) io(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	v2 := v.host.onV2("io")
	weights := []struct {
		field string
		value *uint16
		leaf  bool
	}{{"blockIO.weight", b.Weight, false}, {"blockIO.leafWeight", b.LeafWeight, true}}
	for _, d := range b.WeightDevice {
		v.check(d.Weight != nil || d.LeafWeight != nil, "blockIO.weightDevice", fmt.Sprintf("%d:%d", d.Major, d.Minor), "no weight given")
		weights = append(weights, struct {
			field string
			value *uint16
			leaf  bool
		}{"blockIO.weightDevice", d.Weight, false}, struct {
			field string
			value *uint16
			leaf  bool
		}{"blockIO.weightDevice", d.LeafWeight, true})
	}
	for _, w := range weights {
		if !set(w.value) {
			continue
		}
		v.need("io", w.field)
		v.check(*w.value >= translate.MinBlkioWeight && *w.value <= translate.MaxBlkioWeight, w.field, *w.value, "not from %d to %d", translate.MinBlkioWeight, translate.MaxBlkioWeight)
		v.check(!w.leaf || !v2, w.field, *w.value, "cgroup v2 has no leaf weight")
		v.check(!v.host.Has("io") || v.host.IOWeight(), w.field, *w.value,
			"this kernel has no I/O weights (they need the BFQ scheduler, or iocost on cgroup v2)")
	}
	for _, t := range translate.Throttles(b) {
		for _, d := range t.Devices {
			v.need("io", "blockIO."+t.Field)
			v.check(d.Major >= 0 && d.Minor >= 0, "blockIO."+t.Field, fmt.Sprintf("%d:%d", d.Major, d.Minor), "not a device number")
		}
	}
}

func (v *validator) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	if n.ClassID != nil {
		v.need("net_cls", "network.classID")
	}
	for _, p := range n.Priorities {
		v.need("net_prio", "network.priorities")
		v.check(fileWord(p.Name), "network.priorities", p.Name, "not an interface name")
	}
}

func (v *validator) devices(rules []specs.LinuxDeviceCgroup) {
	if len(rules) > 0 && !v.host.onV2("devices") {
		v.need("devices", "devices")
	}
	for _, r := range rules {
		switch r.Type {
		case "", "a":
			// The kernel ignores the numbers of such a rule and would allow or
			// deny everything.
			v.check(isAny(r.Major) && isAny(r.Minor), "devices", r.Type, "a rule for all types can't have numbers")
		case "b", "c", "u":
		default:
			v.check(false, "devices", r.Type, "not a device type (a, b, c or u)")
		}
		v.check(strings.Trim(r.Access, "rwm") == "", "devices", r.Access, "not an access (r, w and m)")
	}
}

// unified checks the names of files, since they become paths.
func (v *validator) unified(values map[string]string) {
	if len(values) > 0 && !v.host.pure {
		v.check(false, "unified", slices.Sorted(maps.Keys(values))[0], "this host's controllers are cgroup v1's")
		return
	}
	for _, file := range slices.Sorted(maps.Keys(values)) {
		field := "unified." + file
		if !fileWord(file) || !strings.Contains(file, ".") || strings.HasPrefix(file, ".") {
			v.check(false, "unified", file, "not the name of a cgroup file")
			continue
		}
		switch file {
		case "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type", "cgroup.subtree_control":
			v.check(false, field, values[file], "is the runtime's to write")
			continue
		}
		if controller := translate.ControllerOf(file); controller != "" {
			v.need(controller, field)
		}
	}
}

// fileWord reports whether s can be part of a file's name or a word in one.
func fileWord(s string) bool {
	return s != "" && !strings.ContainsAny(s, "/ \t\n\x00") && len(s) < 256
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// set reports whether p points at a value that asks for something: in memory
// and CPU fields 0 means "leave as it is".
func set[T int64 | uint64 | uint16](p *T) bool { return p != nil && *p != 0 }

// isAny reports whether a device number stands for all.
func isAny(n *int64) bool { return n == nil || *n < 0 }
