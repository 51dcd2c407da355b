// SPDX-License-Identifier: Apache-2.0

// Package attach puts single files over the files of a container: over
// /proc/meminfo, /sys/devices/system/cpu/online and the like, in the mount
// namespace of a container that is being made or has been running for long.
// Nothing is needed inside the container and no process is started.
//
// # How
//
// A [Tree] is a detached mount: open_tree(2) clones the mount of one served
// file, mount_setattr(2) makes it read-only, nosuid, nodev, noexec and private.
// [Tree.Place] moves it onto a file of the calling thread's mount namespace
// (a runtime's init uses that); [Attach] enters the mount namespace of a
// running process first. A tree can be placed once: it is moved, not copied.
//
// Entering works on an operating-system thread of its own, since a mount
// namespace and the root directory belong to a thread: the thread gives up the
// shared file system state (unshare(CLONE_FS)), enters through a pidfd
// (setns(2), Linux 5.8) and ends with its goroutine. It never goes back to
// serving other goroutines.
//
// # What a container can do against it
//
// The container's files are hostile. A destination is opened one name at a
// time with O_PATH|O_NOFOLLOW from the process' own root directory; below the
// first name every directory must lie on procfs (for /proc) or sysfs (for
// /sys), and the last name must be a regular file there. So symbolic links and
// directories that somebody prepared lead nowhere. File systems are told by
// mountinfo (proc(5)), read through the process' own /proc directory, which
// was opened outside of the container: statfs(2) and stat(2) would ask a FUSE
// server, and a dead or malicious one can make the caller wait for ever. A PID
// that is reused can't lead elsewhere: everything hangs on one pidfd and one
// /proc/PID directory whose agreement is checked.
//
// # Whose mounts
//
// A mount of type fuse.procfs-shim is ours. Those of the shared tree, whose
// root is / or below /proc or /sys in the served file system, were bound by an
// engine or its user (docker run -v): they are covered like LXCFS's, never
// removed. The others, of a bound tree, are what this package places and
// removes; List shows both. LXCFS's, of type fuse.lxcfs, are covered too, and
// taken away by [Process.Replace] alone.
//
// Everything acts on all files or on none: when a step fails, what was done
// is undone in the opposite order, including older mounts of ours that had
// been taken away.
package attach
