// SPDX-License-Identifier: Apache-2.0

// Package discover finds the containers that run on a host, whoever started
// them: docker, podman, containerd (ctr, nerdctl, Kubernetes), CRI-O, LXC and
// procfs-shim itself.
//
// # How
//
// One pass over /proc reads each process' cgroup (cgroups(7)). Engines put a
// container's ID into the path of its cgroup, each in its own way; [match.go]
// knows them. The outermost directory that carries an ID is the container's
// cgroup, whatever lies below: systemd's init.scope, crun's container, a whole
// engine inside the container. Names that need a witness (a bare ID below
// somebody's own cgroup parent, containerd's NAMESPACE/ID) count only where the
// engine's state directory or the process' parent, the engine's shim, confirms
// them. So services of the host, conmon, the shims and the sandboxes of
// browsers are no containers.
//
// A container's init process is PID 1 of the PID namespace that the container
// was given; where it has none (docker run --pid host, pods that share theirs),
// the process that was started first.
//
// Names are no part of a cgroup's path. They come from docker's
// containers/ID/config.v2.json or its socket, and from the containers.json of
// podman and CRI-O.
//
// # Trust
//
// The result says what a host's cgroups look like, not who is allowed what:
// who was given a cgroup to manage can make one that looks like an engine's.
// What acts on a container has to defend itself (package attach does). Files
// are read up to a size limit, and names with control characters are dropped.
//
// PIDs are reused: [Finder.Same] tells whether a container found a while ago is
// the same still. To act, hold the process first (attach.Open), then ask.
package discover
