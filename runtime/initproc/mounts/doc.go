// SPDX-License-Identifier: Apache-2.0

// Package mounts turns the mounts of an OCI config into the mount namespace of
// a container. It runs in the container's first process, in new namespaces,
// still with the host's tree as its root.
//
//	Open     the host's mounts become slaves; the root directory, a mount of its own
//	Fill     the config's mounts in their order, the working directory, devices, links
//	Console  a pseudo terminal of the container's own devpts
//	Protect  sysctls, the views (attach.Tree), masked paths, readonly paths
//	Pivot    pivot_root(2), the old root detached, read-only root, propagation
//
// # The root file system is hostile
//
// An image can hold a symbolic link where a mount should go, at any level, and
// a second container with the same volume can swap one in between two system
// calls. So every destination is opened first, inside the root
// (filepath-securejoin's pathrs-lite, openat2(2) with RESOLVE_IN_ROOT), what
// was opened is looked at, and the mount is moved onto that descriptor:
// fsopen(2) and open_tree(2) make detached mounts, move_mount(2) attaches them;
// no path is looked up a second time. In particular
//
//   - /proc, /sys and /dev are real directories, or the start fails;
//   - nothing of the config is mounted inside /proc but over the few files that
//     views are made of, also not through a link that leads there;
//   - a masked file is covered by the host's /dev/null, whose device number has
//     been checked, never by the container's;
//   - sysctls are written through a procfs that is mounted nowhere.
//
// # Kernels
//
// fsopen, fsmount, move_mount and open_tree are Linux 5.2, openat2 5.6.
// mount_setattr is 5.12; before, attributes of a bind mount are set by
// remounting it through its descriptor, and recursive ones (rro …) are refused.
package mounts
