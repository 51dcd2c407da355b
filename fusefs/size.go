// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"os"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
)

// # Which size a file has
//
// procfs gives its files the size 0, and can: there, every way of reading
// comes to the same function. FUSE can't. The kernel serves sendfile(2) and
// splice(2) from its page cache and asynchronous reads (io_submit(2), io_uring)
// not at all past the size that it knows; with a size of 0 each of them reads an
// empty file. busybox's cat uses sendfile, so does Python's shutil. Tried on
// Linux 6.18; package conformance has the tests.
//
// So files have a size, as sysfs gives to its own: whole pages, of which the
// text needs only a part. Reads that want to fill the page cache are refused
// with EINVAL, which is how the kernel tells callers of sendfile that a file
// doesn't have it; they go on with read(2). And tools that look at the size:
//
//	wc -c     doesn't believe in whole pages, if the preferred block is as large
//	tail      looks for the end in the last 8 KiB
//	Node.js   reads no further than the size
//
// That leaves nominalSize for every text that is not longer. A file whose text
// on the host is longer gets the exact size of the text that the reader would
// see, and the kernel may not keep that.

// nominalSize is the size of files with short texts, and the preferred block
// size of all.
func nominalSize() uint64 { return max(8192, uint64(os.Getpagesize())) }

// boundSizeValid is how long the exact size of a bound file may be kept: as
// long as a change of limits may take to be seen.
const boundSizeValid = 10 * time.Millisecond

// size returns the size of a file, and how long it is valid.
func (fs *filesystem) size(slot uint64, n *nodes.Node, reader uint32) (uint64, time.Duration) {
	if !n.Long {
		return nominalSize(), nodeValid
	}
	valid := boundSizeValid
	if fs.tree.has(0) {
		valid = 0 // the next to ask may be in another container
	}
	if n.Entry != nil {
		return uint64(n.Entry.Size), hostValid // as sysfs says: whole pages
	}
	length, err := fs.tree.measure(slot, n.File, reader)
	if err != nil {
		return nominalSize(), valid // whoever reads will be told why
	}
	return uint64(length), valid
}
