// SPDX-License-Identifier: Apache-2.0

// Package view turns the host's numbers and a container's cgroup numbers into
// the numbers that the container is shown.
//
//	host's /proc text ─ procfile ─┐
//	                              ├─► view ─► procfile ─► the container's text
//	cgroup files ─ cgroupread ────┘
//
// Each file that the container reads has a function of its own: [VisibleCPUs]
// decides which CPUs there are, once for all files; [CPUInfo], [Meminfo],
// [StatInto], [Uptime] and the others make one file each. /proc/loadavg has none: a
// [procfile.Loadavg] is made of a sample of the container's tasks alone. The
// functions are pure: same input, same output, no I/O, no clock. They may be called
// from any number of goroutines, and those with a destination (MeminfoInto,
// StatInto) allocate nothing once their destination has grown.
//
// Vocabulary: a container's cgroup and its ancestors, without the root, are its
// chain; every level of it limits the container, so an effective limit is the
// smallest of the chain. A view differs from the host's file in values and in
// which CPUs, nodes and disks appear, never in form: no row is added or moved.
//
// Two rules run through every number. Subtractions saturate at 0, for cgroup
// files aren't read in one instant and lag one another. And no part is larger
// than its whole, so that what tools subtract ("used" of free(1)) can't become
// negative.
//
// Units are bytes, [time.Duration] and CPU numbers.
package view
