// SPDX-License-Identifier: Apache-2.0

// Package readbench turns a list of files into what reading them costs: the
// time that open(2), read(2) up to the end and close(2) take together, as
// monitoring agents, free(1) and language runtimes do it with /proc/meminfo.
//
// # What is measured
//
// A [Plan] has rows: the same file as several trees show it (the kernel's own,
// a mount of ours, an LXCFS mount). Each mode takes the plan's duration, and
// all rows share it, taking turns, so that whatever else the machine does, and
// its clock frequency, weigh on all of them alike:
//
//	hot   as fast as it goes. Rows change every few milliseconds, in an order
//	      that is shuffled each round; a turn's first read is not counted.
//	cold  one read of each row every 20 ms, asleep in between, as a program
//	      that looks now and then finds it. The order within 20 ms is shuffled.
//
// Each of the plan's readers is an operating system thread of its own. Only
// the system calls are timed (and two readings of the clock, below 0.1 µs);
// nothing is allocated meanwhile. The content of each read is checked by the
// row's own function, after the time was taken: what fails is counted as an
// error instead of a read.
//
// # What comes out
//
// A [Result] per row and mode. Quantiles come from a histogram whose buckets
// are 1/64 of a power of two wide: they are at most [QuantileError] off.
// Reads per second is what the readers would do if they did nothing else:
// readers ÷ mean time of a read. [WriteTable], [WriteJSON] and [WriteSVG] show
// results to people and programs.
//
// The package neither makes the trees nor knows who serves them; it must not
// run in the process that does.
package readbench
