// SPDX-License-Identifier: Apache-2.0

package view

import "github.com/procfs-shim/procfs-shim/fusefs/procfile"

// PressureInto makes the container's file of /proc/pressure: its cgroup's
// *.pressure as it stands or, where that is nil (v1, the controller is off,
// cgroup.pressure is 0), the host's lines and keys with zeros. dst, which is reused,
// must be neither.
//
// Where the host has no such file (no PSI, or a kernel that doesn't know the
// resource) the container has none either: that is the caller's to see to.
func PressureInto(dst, host, cgroup *procfile.Pressure) {
	if cgroup == nil {
		dst.CopyZero(host)
		return
	}
	dst.CopyFrom(cgroup)
}
