// SPDX-License-Identifier: Apache-2.0

package cgroupread

// Inode is the inode number of the cgroup's directory, in the first hierarchy that
// the handle knows: another one for a cgroup made anew under an old name. 0
// where no controller that views need has a hierarchy.
func (c *Cgroup) Inode() uint64 {
	for _, b := range c.branches() {
		return b.Inode()
	}
	return 0
}
