// SPDX-License-Identifier: Apache-2.0

// Package snapshot keeps the texts that open file handles are read from.
//
// A pass through a file, whatever the size of its reads, must see one moment. So
// the text that a read at offset 0 rendered stays with the handle: a [Snapshot],
// found by the handle's number in a [Table].
//
// # What a container can cost
//
// A handle that holds nothing has no entry: opening files, however many, costs
// nothing here. Snapshots count for the container they show, its [Holder]: past
// 512 of them or 4 MiB, the one that was read least recently is dropped. The
// table remembers of such a handle that it held something (a first read in the
// middle of a file is fine, reading on in a text that is gone is not); of more
// than 4096 it remembers no more than the highest number, which then stands for
// all handles up to it.
//
// # Handles of before
//
// Handle numbers only grow, also from one process to its successor. A table is
// told below which number handles are not its own: they count as handles whose
// snapshot is gone.
//
// # Memory and locks
//
// Snapshots are counted references to memory that is used again. Table.mu guards
// all of a table and of its holders; nothing is waited for under it.
package snapshot
