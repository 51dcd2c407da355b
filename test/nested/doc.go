// SPDX-License-Identifier: Apache-2.0

// Package nested checks views where containers aren't simply side by side: in one
// another, in trees of cgroups as systemd makes them, with limits at several
// levels, in pods that share a PID namespace, in user namespaces, and in no PID
// namespace of their own. All of it is tests with the tag e2e.
//
// A container here is made by hand, of cgroups (package served) and namespaces,
// as engines of all kinds make them: a [box], whose init process runs what the
// test asks. The program serves: each box can read the shared tree, and `mount`
// puts bound files over its own. What is right comes from the limits that the test
// has set and from the kernel's own counters.
//
//	test ── scripts ──► init process of a box: in namespaces and a cgroup
//	  │                   │ reads
//	  └─ procfs-shim serve: shared tree, bound files
//
// Like those of package served these tests run in a mount namespace of their own.
// They also run on a v2 host in the virtual machine (package vm).
package nested
