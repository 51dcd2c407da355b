// SPDX-License-Identifier: Apache-2.0

// Package locate turns the thread that reads a shared file into the cgroup
// whose view it must be shown.
//
// # The rule
//
// FUSE tells the server the reader's thread id (TID), as the PID namespace of
// the process that mounted numbers it; 0 means that this namespace can't see
// the reader. From there:
//
//	reader → its PID namespace → that namespace's init → init's cgroup,
//	less one trailing /init.scope
//
// with three exceptions, in which the reader's own cgroup counts:
//
//   - the reader is in the host's PID namespace (that of this process);
//   - its cgroup is not at or below the one found (a pod whose containers share
//     a PID namespace has the pause container's process as init; an entrant
//     from outside may have brought its own cgroup along);
//   - the namespace has no init any more (the reader is about to be killed), or
//     none that can be found (below); also less one trailing /init.scope.
//
// Init rather than the reader's own cgroup, because a container may be a tree
// of cgroups: with systemd inside, the reader is in
// CONTAINER/system.slice/x.service and the limits that count are CONTAINER's.
//
// # How init is found
//
// Kernels from 6.11 answer the ioctl NS_GET_PID_FROM_PIDNS on /proc/TID/ns/pid
// (ioctl_nsfs(2)). Below that the parents of the reader are walked until one
// is PID 1 of the namespace (the last number of NSpid in /proc/PID/status); a
// walk that leaves the namespace belongs to an entrant from outside. Nothing
// forks and /proc is never listed: an answer costs the same on a host with ten
// processes and with a hundred thousand.
//
// # PIDs are reused
//
// A number read from one place and used in another may by then be another
// process. So each process that is looked at is held by a descriptor of its
// directory /proc/PID or of a file there, and read through it: the descriptor leads
// to this one process or, when it has ended, nowhere.
//
// # What is remembered
//
// A thread stays in its PID namespace until it ends (unshare(2) and setns(2) change
// that of its children only), and a namespace has one init process for its whole
// life. So of the threads that read last, 256 at most, the locator keeps the open
// file /proc/TID/cgroup and that of their init. A reader that is known costs one
// read of the first, which fails if the thread has ended, and at most each 10 ms one
// of the second; only if a text is another one than before, it is parsed. What a
// reader is shown is thus at or above the cgroup that it was in at its request, or
// the very same: never another container's, whoever moves or has which number.
//
// Not remembered are readers without an init process: where init is walked to, the
// same reader may have one later.
//
// # On v1, who is ending is in the root
//
// The kernel says so of threads that are being taken away, wherever they are. One
// of them is the first thread of an init process that lives on with others. Such a
// text counts for nothing: init then is one that can't be found.
//
// No lock is held while something is read, and there are no goroutines; a Locator
// is safe for concurrent use.
package locate
