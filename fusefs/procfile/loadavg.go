// SPDX-License-Identifier: Apache-2.0

package procfile

// A Loadavg is the content of /proc/loadavg (fs/proc/loadavg.c, proc_loadavg(5)).
type Loadavg struct {
	// Load are the averages over 1, 5 and 15 minutes in units of 1/2048, the
	// kernel's fixed point (FSHIFT 11, include/linux/sched/loadavg.h).
	Load    [3]uint64
	Running int // tasks in state R
	Total   int // tasks
	LastPID int // the largest, or the last given, PID
}
