// SPDX-License-Identifier: Apache-2.0

package cgroupread

// Inode is the inode number of the cgroup's directory, in the first hierarchy that
// the handle has open: another one for a cgroup made anew under an old name. 0
// where no controller that views need has a hierarchy.
func (c *Cgroup) Inode() uint64 {
	if len(c.branches) == 0 {
		return 0
	}
	return c.branches[0].Inode()
}
