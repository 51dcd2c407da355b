// SPDX-License-Identifier: Apache-2.0

// Package conformance says how a file below /proc behaves, as a map of named
// checks that run over any directory, whoever serves it.
//
// A [Subject] is a directory laid out like the root of a file system: with
// proc/meminfo, sys/devices/system/cpu/online and so on below it. "/" is one,
// served by the kernel; the bound tree of one container and the shared tree
// are two more. [Checks] are functions from a subject and a file to an error,
// so that other programs than tests can use them; [Run] runs them all as
// subtests.
//
// Where a subject is known to differ, it says so by the name of the check and
// gives the reason ([Subject].Differs): the check isn't run then, and the
// reason stands in the log. The list for the kernel itself is [KernelDiffers].
//
// # Texts that change while they are compared
//
// Two reads of meminfo never give the same numbers, so most checks compare
// shapes: a text less its digits, dots and blanks. What must be exact (that one
// pass sees one snapshot) is compared within one open file.
//
// Nothing here writes to a subject that doesn't refuse it: the checks that try
// to are in the kernel's list of differences, since chmod(2) on a file of the
// real procfs works.
package conformance
