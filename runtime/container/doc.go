// SPDX-License-Identifier: Apache-2.0

// Package container is the life of one container, seen from outside: it turns
// an OCI config into a process in namespaces and a cgroup of its own, and back
// into nothing.
//
//	Create   claims the id, makes the cgroup, clones init (runtime/initproc) into
//	         new namespaces, moves it into the cgroup, asks for its views, waits
//	         until it is set up. Status: creating, then created
//	Start    lets init execute the command. Status: running
//	Signal, Wait, Kill, State
//	Delete   kills what is left and removes cgroup, directories and state
//
// Sweep does for the containers of dead owners what Delete does for one's own.
//
// # The thread
//
// Create locks the calling goroutine to its thread for good, and the caller
// must not unlock it. The container's mounts start from that thread's mount
// namespace (a caller that unshared it can mount a root file system there that
// the host never sees), the time namespace is made by it, and the parent-death
// signal that ends init when this program is killed is tied to it: should that
// goroutine end, the container is killed.
//
// # When things go wrong
//
// What has to be undone is written to the state directory before it is made
// (runtime/state), so nothing is lost whenever this process dies. While it
// lives, a Create that fails undoes everything itself, in the order of Delete.
// Errors that come from the container's command rather than from us are told
// apart by [ExitStatus].
package container
