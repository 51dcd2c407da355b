// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// DiskstatsInto makes the container's /proc/diskstats: a line for each device of
// the host on which the container did I/O, in the host's order and columns, with
// the container's requests and sectors. What no cgroup counts is 0: merged
// requests, times, requests in flight, flushes. A device that the host's file
// hasn't is gone and left out, so is the I/O on it.
//
// Without I/O the file is empty, as it is on a host without disks. dst, which is
// reused, must not be host. For the root cgroup, whose I/O is the host's, the
// caller shows the host's file unchanged instead.
func DiskstatsInto(dst, host *procfile.Diskstats, devices []limits.DeviceIO) {
	dst.Reset()
	for i := range host.Len() {
		major, minor, ok := host.Device(i)
		if !ok {
			continue
		}
		for j := range devices {
			if io := &devices[j]; io.Major == major && io.Minor == minor {
				if counts := diskIO(io); counts != (procfile.DiskIO{}) {
					dst.AddFrom(host, i, counts)
				}
				break
			}
		}
	}
}

// diskIO counts as the kernel's file does, in whole sectors.
func diskIO(io *limits.DeviceIO) procfile.DiskIO {
	const sector = 512
	return procfile.DiskIO{
		Reads: io.ReadCount, ReadSectors: io.ReadBytes / sector,
		Writes: io.WriteCount, WriteSectors: io.WriteBytes / sector,
		Discards: io.DiscardCount, DiscardSectors: io.DiscardBytes / sector,
	}
}
