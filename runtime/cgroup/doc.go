// SPDX-License-Identifier: Apache-2.0

// Package cgroup makes, joins, limits, kills and deletes the cgroups of
// containers, on hosts with cgroup v1, v2, or both (hybrid).
//
// What it turns into what: an OCI [specs.LinuxResources] value and a cgroup
// path such as "/procfs-shim/ID" into directories and written files below
// /sys/fs/cgroup. Reading limits back is package cgroupread's.
//
// # One container, several hierarchies
//
// On v1 every mounted hierarchy gets a directory of the same path, on v2 there
// is one; a hybrid host has both, and the container joins all of them, so that
// no path of /proc/PID/cgroup still names whoever started it.
//
// # From create to delete
//
//	NewHost    what is mounted, what it can limit; reads only
//	Validate   every value, before anything is made
//	Create     directories from the top down; v2: controllers enabled in every
//	           level above the container's (a cgroup that passes controllers on
//	           holds no processes); v1: cpuset.cpus and .mems filled from the
//	           parent in every empty level; then the files of the table
//	Join       cgroup.procs of every hierarchy, or FD for clone3(2) on v2
//	Kill       SIGKILL until the whole subtree is empty
//	Delete     rmdir from the bottom up, then the parents nobody uses
//
// A Create that fails leaves nothing of what it made.
//
// # The table of limits
//
// Package translate holds it: which field goes to which file in which form and
// order. It is ours rather than that of containerd/cgroups, whose translation
// to v2 loses a quota without a period, writes "-1" where the kernel wants
// "max", and drops burst, idle and unified. That library does enabling,
// joining and cgroup.kill (adapter.go). Directories are made here, since
// undoing needs to know which ones are new, and removed here, since it removes
// with a recursive delete of files and drops the cause of a failure. Devices
// are files on v1 and a program on cgroup2 (package devices).
//
// Units are the kernel's: bytes, microseconds. In LinuxResources -1 means "no
// limit" and a missing field "leave as it is"; for memory and CPU so does 0,
// as in runc, while 0 is a valid pids.max.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the
// kernel, cgroups(7), and the OCI runtime specification's config-linux.md.
//
// Values of this package are not for concurrent use, but for Kill and Join.
package cgroup
