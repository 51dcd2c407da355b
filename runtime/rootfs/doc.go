// SPDX-License-Identifier: Apache-2.0

// Package rootfs makes a container's root file system: an overlay of one or
// more directories that stay as they are (lowerdir) and one that takes every
// change (upperdir), shown together at a third place (merged, here Target).
//
// What it turns into what: an [Overlay] value, that is four paths, into one
// overlayfs mount in the mount namespace of the calling thread. The caller has
// locked its OS thread and unshared its mount namespace before, so that the
// host never sees the mount and the kernel drops it when the last process of
// the namespace ends, whatever killed it.
//
// Words, as in the kernel's Documentation/filesystems/overlayfs.rst:
//
//   - lowerdir: read only. May be "/", the host's own root: overlayfs shows the
//     file system of that directory alone and none of the mounts below it, so
//     /proc, /sys and /dev of the host are empty directories in the container.
//     Upper and work may then lie below the lowerdir; the kernel answers ELOOP
//     to whoever walks into them through merged.
//   - upperdir: where a file goes that is written for the first time (copy-up)
//     and where a removed one leaves its whiteout, a character device 0/0.
//   - workdir: an empty directory on the same file system as upperdir, used by
//     the kernel alone.
//
// The package keeps no state and takes no locks. It does not pivot_root, mounts
// nothing but the overlay, and knows nothing of containers.
package rootfs
