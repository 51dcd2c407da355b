// SPDX-License-Identifier: Apache-2.0

// Package initproc is the first process of a container, from clone(2) to
// execve(2): `procfs-shim init`, which runtime/container starts from a sealed
// copy of the program, in new namespaces, with a socket at descriptor 3. Nobody
// else calls it.
//
// # Protocol
//
// One message is a length (four bytes, little endian) and that many bytes of
// JSON ([Message]); descriptors travel with the length (SCM_RIGHTS). p is the
// parent (runtime/container), i is init.
//
//	state    who says  message            what happens until the next one
//	-------  --------  -----------------  ------------------------------------------
//	parked   -         -                  p moves i into the cgroup (unless clone3
//	                                      did), asks for the views of that cgroup,
//	                                      raises hard limits, sets oom_score_adj
//	joined   p → i     setup + views      i unshares the cgroup namespace, sets names,
//	                                      lo, mounts, views, masks; pivots its root
//	setup    i → p     console + master   with a terminal only: p keeps the master
//	         i → p     warning            any number: what could not be granted
//	         i → p     ready              user, capabilities and program are settled;
//	                                      i waits. The container is `created`
//	ready    p → i     start              limits are set, the program executed
//	running  -         (end of file)      execve closed i's end. The container runs
//	any      i → p     failed             i ends. `exec` says that the fault is the
//	                                      container's command, errno which one: p
//	                                      maps ENOENT to 127, other ones to 126, and
//	                                      what is not exec to 125
//
// An end of file where a message is due means that the other side is dead. Init
// ends then; besides, SIGKILL is its parent-death signal (prctl(2),
// PR_SET_PDEATHSIG), armed before it executes anything and again after the
// change of user, which disarms it. In between the socket tells.
//
// A `start` in another process than `create` needs no change of init: the
// parent's end of the socket can be handed on (SCM_RIGHTS, or a relay that
// holds it), since all that is left is one message and the end of file.
//
// # Threads
//
// Main locks its goroutine to its thread and never leaves it: namespaces,
// capabilities and user ids belong to threads, and execve makes the calling
// thread the process. Nothing else runs in init but Go's own threads.
//
// # PID 1 of ours
//
// With Setup.Reaper init doesn't execute the command but itself once more
// (reap.go), when all rights are dropped: every thread of that process starts
// without them. It forks the command, passes signals on, reaps whatever is
// orphaned, and ends with the command's status.
package initproc
