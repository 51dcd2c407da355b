// SPDX-License-Identifier: Apache-2.0

// Package comparison puts one container under LXCFS and under procfs-shim, reads
// both in the same moment, and says of each field that differs who is right.
//
//	docker container: 256 MiB, 1 of 2 CPUs, a throttle rule for the disk
//	  /proc/meminfo …        ours, by procfs-shim mount
//	  /lxcfs/proc/meminfo …  LXCFS's, by a volume
//	  /host/proc             the kernel's own files
//	  /host/cgroup           the cgroup's files
//	  /reader                this test binary: reads truth, ours, theirs, truth
//
// A [Sample] is what one run of the reader has read. Tables are made from samples
// by pure functions, one for each file: they work out from the cgroup's files and
// the kernel's what a field must say, with code of their own, so that a mistake of
// the program isn't made twice. What moves while it is read is true if it lies
// between what the kernel said before and after, give or take a tolerance that
// stands in the table.
//
// TestComparison (tag e2e, root, cgroup v1 or hybrid: LXCFS 5.0.3 runs there) does
// it and fails where ours is wrong and the table doesn't say so. With -update,
// which is what `make comparison` gives it, it writes docs/COMPARISON.md.
package comparison
