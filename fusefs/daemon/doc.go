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
//	STATEDIR/control.sock      the control socket, mode 0600
//
// [ServeOwn] serves one container: the bound tree on a /dev/fuse descriptor
// that its parent ([SpawnOwn]) opened and mounts in a mount namespace of its
// own, the protocol on a socket that both inherited.
//
// [Client] is the other end of either.
//
// # Protocol
//
// A stream socket carries JSON lines: one request, one answer, in turn. A line
// is one JSON object and a line feed, at most [MaxLine] bytes long.
//
//	{"n":1,"op":"register","registration":{"id":"web","cgroup":…,"init_pid":4711,"policy":…,"owned":false}}
//	{"n":1,"registered":{"dir":"/run/procfs-shim/bound/web","files":["proc/cpuinfo","proc/meminfo"]}}
//
//	{"n":2,"op":"unregister","id":"web"}
//	{"n":2}
//
//	{"n":3,"op":"list","after":""}
//	{"n":3,"containers":[{"id":"web",…}],"more":false}
//
//	{"n":4,"op":"dance"}
//	{"n":4,"error":{"code":"malformed","message":"…"}}
//
// n is chosen by the client and repeated in the answer, so that an answer
// whose caller gave up is told from the next one. "list" gives as many
// containers as fit one line, sorted by id, from the first one after "after";
// "more" says that another request is worth it. A request that can't be
// understood (no JSON, an unknown op, an unknown or a missing field) gets an
// error answer and the connection lives on; after a line that is too long it
// is closed, since where the next one starts isn't known any more. Codes of
// errors are the constants Code…
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
// # What this process must not do
//
// It answers FUSE requests, and a request that it made itself could find nobody
// to answer it. So no code here opens, stats or lists anything below the two
// mounts after they were made, nothing forks, and unmounting is lazy:
// umount2(MNT_DETACH) takes the mount out of the tree and, when it was the last
// use, aborts the connection, without asking the server anything (fuse sends
// DESTROY to block-device servers only). Mounts that containers hold live on
// until this process ends and its /dev/fuse descriptors are closed; their
// readers then get ENOTCONN, never a hang.
//
// # Locks
//
// registry.mu guards the table of containers, session.mu nothing but the
// client's turn on its connection. Neither is held while a file is read or
// written; a registration in the making has its place in the table and a
// channel that is closed when it is done.
package daemon
