// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// Uptime returns the container's /proc/uptime: the time up since its start, and
// the idle time of "cpu" in its /proc/stat, to the tick, if both are made of the
// same columns.
//
// With [WhoseHost] for the uptime the caller shows the host's file unchanged
// instead.
func Uptime(up time.Duration, columns []cputime.Column) procfile.Uptime {
	u := procfile.Uptime{Up: procfile.TicksOf(up)}
	for i := range columns {
		u.Idle += procfile.TicksOf(columns[i].Idle)
	}
	return u
}
