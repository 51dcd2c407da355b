// SPDX-License-Identifier: Apache-2.0

// Package truth holds tests that compare what tools show in a container with
// the kernel's own counters of its cgroup, which the test reads itself, outside
// and without the program's packages.
//
// Vocabulary:
//
//   - A container is one of `procfs-shim run`. Its init process is this test
//     binary (the agent, agent_test.go), which runs scripts for the test, many
//     at once if it is asked to.
//   - A burner is a process in it that uses so much of one CPU.
//   - A cgroup is its directories, read by file name for v1 and v2.
//   - A recording is the cgroup's counters each 20 ms, so that the truth for any
//     window of time can be computed afterwards.
//   - Shares are the percentages of a window that a tool shows as busy, stolen
//     and idle.
//
// A tool says how long its window was but not when it began; it lies between
// the moments when the test started the tool and when it had the output. What
// is compared is the range of true values over all windows of that length
// there: with a steady load it is narrow, and on a machine that others keep busy
// as wide as it must be. Nothing is compared with what a machine should have had
// time for.
//
// The tests run on this host and, with the same tools, in the virtual machine of
// package vm: cgroup v2, four emulated CPUs.
package truth
