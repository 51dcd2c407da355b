// SPDX-License-Identifier: Apache-2.0

// Package procfile turns the text of files below /proc, and of those of NUMA nodes
// below /sys, into values and back.
//
// Each file has a parser and an append function of its own, in a Go file named
// after the kernel's: meminfo.go, cpuinfo.go. Three rules hold for all of them:
//
//   - Lossless. Parse then Append gives the same bytes. What a parser doesn't
//     understand (rows of a kernel newer than this program, of an architecture
//     nobody tried) is carried along as it stands.
//   - One place knows the columns. A value that was set is written where the
//     kernel would have written it; nobody outside columns.go types blanks.
//   - Warm parsing costs nothing. A value can be parsed into again
//     ([Meminfo.Parse]) and copied into ([Meminfo.CopyFrom]); it keeps its
//     memory, so a reader that holds on to its values allocates nothing.
//     [CPUInfo] allocates one string per parse and nothing per view: its text
//     is shared between all values made from it.
//
// Files that no view edits number by number are kept as text, of which a view
// takes the part that it shows: [Swaps] and [Slabinfo] their heading, [Pressure]
// its form, [Stat] the counters after the CPUs.
//
// Numbers are bytes and plain counts. The kB that /proc/meminfo prints (which
// are KiB) exist only inside this package. CPU times are [Ticks], which sums over
// many CPUs need; [TicksOf] makes them.
//
// A file that can't be what its name says gives a [*ParseError], which names the
// file and the line and quotes the input. Nothing is guessed: a row that this
// program knows by name but can't read is an error, so that a host's number
// never slips into a container because of a typo in the kernel.
//
// The package is pure: it opens nothing, has no state, and takes no locks. A
// value must not be changed while another goroutine uses it; any number may read
// it.
package procfile
