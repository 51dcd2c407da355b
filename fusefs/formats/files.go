// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"sync"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Files returns the table, in the order of the documentation, which must not be
// changed. A later entry may match what an earlier one does: the first counts.
func Files() []File { return files() }

// files makes the table when it is first needed: most runs of the program never do.
//
//nolint:gochecknoglobals // a constant table
var files = sync.OnceValue(func() []File {
	return []File{
		cpuinfo(), online(), offline(), stat(), uptime(), loadavg(),
		meminfo(), swaps(), vmstat(), diskstats(), slabinfo(),
		pressure("cpu"), pressure("memory"), pressure("io"), pressure("irq"),
		nodeList("online"), nodeList("has_memory"), nodeList("has_normal_memory"), nodeHasCPU(),
		nodeMeminfo(), nodeNumastat(), nodeCPUs("cpulist"), nodeCPUs("cpumap"), nodeDistance(),
		passed("sys/devices/system/node/possible"), passed("sys/devices/system/cpu/*"),
	}
})

// Terms returns what fields are made from that isn't shown itself.
func Terms() []Term {
	return []Term{
		{"usage", "of a level of the chain, the largest of memory.current, Σ of the LRU lists, Σ of the kinds of memory, for these files lag one another", usage()},
		{"left", "what MemTotal − MemFree leaves for a kind of memory; where usage is above the limit, in the order in which the kernel would reclaim: cache goes first, unreclaimable slab last", left()},
		{"busy", "what the container ran for: v2's usage_usec, v1's usage of each CPU; parted as user ÷ (user + system); beyond wall time it is carried over", busy()},
		{"refused", "what the quota with the smallest quota ÷ period of the chain refused; of the container's own quota at most what the periods that it filled had to spare", refused()},
		{"room", "what is left on each shown node, of MemTotal parted as the host's nodes have it, by the kinds of memory parted before", room()},
	}
}

func host(name string) Input        { return Input{From: OfHost, Name: name} }
func own(name, v1 string) Input     { return Input{From: OfCgroup, Name: name, V1: v1} }
func chain(name, v1 string) Input   { return Input{From: OfChain, Name: name, V1: v1} }
func nearest(name, v1 string) Input { return Input{From: OfNearest, Name: name, V1: v1} }
func shown(name string) Input       { return Input{From: OfShown, Name: name} }
func term(name string) Input        { return Input{From: OfTerm, Name: name} }
func initProcess() Input            { return Input{From: OfInit} }
func tasks() Input                  { return Input{From: OfTasks} }
func clock() Input                  { return Input{From: OfClock} }

// always is a constant row.
func always(field, formula string, with ...Variant) Row {
	return Row{Field: field, Kind: Constant, Formula: formula, With: with}
}

// hostRow is a row of the host's.
func hostRow(field, formula string) Row { return Row{Field: field, Kind: Host, Formula: formula} }

// Policies that more than one file knows.

func rootCgroup() Case {
	return Case{"in the root cgroup", func(s Situation) bool { return s.Root }}
}

func hostCPUs() Case {
	return Case{"with cpu-view=host", func(s Situation) bool { return s.Policy.CPUView == view.CPUViewHost }}
}

func hostCounters() Variant {
	return Variant{
		Policy: "host-counters", In: func(p view.Policy) bool { return p.HostCounters },
		Kind: Host, Formula: "the host's",
	}
}

// passed is a file that everybody sees as it is.
func passed(path string) File {
	return File{Path: path, Rows: []Row{hostRow("*", "the host's, for libraries that size arrays by it or look for the hardware")}}
}
