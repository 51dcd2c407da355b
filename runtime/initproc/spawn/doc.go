// SPDX-License-Identifier: Apache-2.0

// Package spawn starts a process from a value: a program, its descriptors, and
// everything that has to happen between clone(2) and execve(2). It makes the
// container's first process from the outside and, below PID 1 of ours
// (`run --init`), the container's command.
//
// # Why not os/exec
//
// package syscall forks with CLONE_VM|CLONE_VFORK. A thread that has unshared
// a time namespace for its children can't do that before Linux 6.2: clone
// answers EINVAL when a child in another time namespace would share memory
// (kernel commit 2b5f9dad32ed, "switch timens when a task gets a new mm"). A
// fork that copies its memory works on every kernel that has time namespaces,
// costs some 0.2 ms for a process of our size, and can also set limits,
// reset ignored signals and enter a v2 cgroup on its way, so there is one way
// for all kernels instead of two.
//
// # What holds in the child
//
// The child is a copy of one thread of a Go program: no other thread, no
// scheduler, no garbage collector. It runs one function that makes raw system
// calls on values prepared before the fork; it does not allocate, grow its
// stack, or call anything else. All signals are blocked from before the fork
// until just before execve, and every handler, also SIG_IGN (which execve
// would hand on), is reset.
//
// An error between clone and execve comes back through a close-on-exec pipe,
// as the step's name and its errno.
package spawn
