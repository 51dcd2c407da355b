// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// ShownNodes returns the NUMA nodes that a container is shown: those of its
// effective cpuset.mems that are online. limited false means that no cpuset says
// anything, and every node counts; so it does when no node of mems is online, the
// two having been read at different times.
func ShownNodes(online, mems cpulist.Set, limited bool) cpulist.Set {
	if shown := mems.Intersect(online); limited && !shown.IsEmpty() {
		return shown
	}
	return online
}

// NodesWithCPUs returns the nodes that have a visible CPU: the list in has_cpu.
func NodesWithCPUs(nodes []HostNode, visible cpulist.Set) cpulist.Set {
	var with cpulist.Set
	for i := range nodes {
		if !nodes[i].CPUs.Intersect(visible).IsEmpty() {
			with = with.Union(cpulist.Of(nodes[i].ID))
		}
	}
	return with
}

// AppendCPUMap appends a node's cpumap with the visible CPUs only: hexadecimal
// digits of four CPUs, the highest first, in groups of 32 with commas between (%*pb,
// Documentation/core-api/printk-formats.rst). It is as wide as the host's. What
// isn't a digit is kept.
func AppendCPUMap(dst, host []byte, visible cpulist.Set) []byte {
	const perDigit = 4
	start := len(dst)
	dst = append(dst, host...)
	cpu := 0
	for i := len(dst) - 1; i >= start; i-- {
		digit := bytes.IndexByte(hexDigits, dst[i])
		if digit < 0 {
			continue
		}
		for bit := range perDigit {
			if !visible.Has(cpu + bit) {
				digit &^= 1 << bit
			}
		}
		dst[i] = hexDigits[digit]
		cpu += perDigit
	}
	return dst
}

//nolint:gochecknoglobals // a constant that Go can't express
var hexDigits = []byte("0123456789abcdef")

// AppendNodeDistance appends a node's distance file with the shown nodes only: the
// kernel writes one number for each online node, in their order, with a blank
// between (node_read_distance, drivers/base/node.c).
func AppendNodeDistance(dst, host []byte, online, shown cpulist.Set) []byte {
	start, node := len(dst), -1
	for field := range bytes.FieldsSeq(host) {
		for node++; node <= online.Max() && !online.Has(node); {
			node++
		}
		if !shown.Has(node) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = append(dst, field...)
	}
	return append(dst, '\n')
}

// NumastatInto makes a node's numastat: zeros, for no cgroup counts allocations by
// node, or the host's numbers by [Policy.HostCounters]. dst, which is reused, must
// not be host.
func NumastatInto(dst, host *procfile.Numastat, p Policy) {
	dst.CopyFrom(host)
	if p.HostCounters {
		return
	}
	for i := range dst.Len() {
		dst.SetValue(i, 0)
	}
}
