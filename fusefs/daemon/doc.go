// SPDX-License-Identifier: Apache-2.0

// Package daemon is what `procfs-shim serve` runs, and the small server that
// one `procfs-shim run` starts for itself. It turns registrations ("this
// cgroup, with this init process, is container web") into directories of the
// bound tree, and looks after them until the container is gone.
//
// # What is where
//
// [Run] serves a host:
//
//	MOUNTPOINT                 the shared tree, in LXCFS's layout
//	STATEDIR/lock              flock(2)ed as long as the daemon lives
//	STATEDIR/bound             the bound tree, one directory per container
//	STATEDIR/static            those of its files that the kernel keeps
//	STATEDIR/control.sock      the control socket, mode 0600
//
// [ServeOwn] serves one container: the last two on /dev/fuse descriptors that its
// parent ([SpawnOwn]) opened and mounts in a mount namespace of its own, the
// protocol on a socket that both inherited.
//
// [Client] is the other end of either.
//
// The protocol between them is package wire's, policies are package policy's and
// config's, mounts are package mountpoint's,
// and package process tells processes from later ones with the same number.
//
// # Who may ask
//
// The socket's mode lets only its owner connect, and the server checks each
// peer's credentials (SO_PEERCRED, unix(7)): user 0 or the server's own.
// Requests carry process ids, which mean something in one PID namespace only,
// so a peer whose own process isn't visible in the server's can't register.
//
// # Life of a registration
//
// It ends when somebody unregisters it, or within [JanitorInterval] after its
// init process died: the janitor compares the start time in /proc/PID/stat with
// the one seen at registration, so that a PID that is used again is not taken
// for the container, and nothing (no goroutine, no descriptor) is kept per
// container to learn of its end.
//
// An owned registration also ends with the connection that made it: then the
// server kills the init process, through a pidfd taken at registration. So a
// container doesn't outlive a killed `run`. Only its owner can unregister it.
// When the server itself ends, the containers stay.
//
// # Policies
//
// A registration carries what was chosen for its container, and nothing else:
// the server has the rules (package policy; package config reads them from a
// file), puts both together and answers what is in force. Choosing again changes
// it in place, and so do other rules (SIGHUP, [Config].Reload). An own server has
// no rules; `run` applies those of the host's file itself.
//
// # What this process must not do
//
// It answers FUSE requests, and a request that it made itself could find nobody
// to answer it. So no code here opens, stats or lists anything below the
// mounts after they were made, nothing forks, and unmounting is lazy:
// see mountpoint.Mounted. Mounts that containers hold live on until this process
// ends and its /dev/fuse descriptors are closed; their readers then get
// ENOTCONN, never a hang.
//
// # Locks
//
// registry.mu guards the table of containers, control.mu the set of sessions;
// they are never held together, and not while a file or a socket is read or
// written. The tree's own lock is taken with registry.mu held, never the other way
// round. A registration in the making has its place in the table, and a
// channel that is closed when it is done.
package daemon
