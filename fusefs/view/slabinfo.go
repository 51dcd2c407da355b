// SPDX-License-Identifier: Apache-2.0

package view

import "github.com/procfs-shim/procfs-shim/fusefs/procfile"

// SlabinfoInto makes the container's /proc/slabinfo: the host's header and the
// caches of a v1 cgroup's memory.kmem.slabinfo, or none of them where cgroup is
// nil: v2 has no such file, and since 5.9 v1's is there but empty. The host's caches
// are never shown, except in the root cgroup, where the caller shows the host's file
// unchanged. dst, which is reused, must be neither.
func SlabinfoInto(dst, host, cgroup *procfile.Slabinfo) {
	dst.CopyHeader(host)
	if cgroup != nil {
		dst.AddCaches(cgroup)
	}
}
