// SPDX-License-Identifier: Apache-2.0

// Package nullfs serves constant files over FUSE: what reading costs when making
// the text costs nothing. `procfs-shim bench` measures it beside ours, as tree
// null.
//
// What it does for a reader is what package fusefs does: the same version of
// go-fuse with the same options and the same loop, the same mount, files opened
// with direct I/O and without FLUSH. So open, read to the end and close are the
// same three round trips:
//
//	OPEN            a handle's number
//	READ at 0       the text, from memory
//	READ at its end nothing
//
// (RELEASE is sent too, but nobody waits for it.) Names and attributes are
// valid for an hour. The time of such a read is what FUSE takes; what a read of
// ours takes beyond it is ours.
//
// It is a yardstick and no more: directories can't be listed.
package nullfs
