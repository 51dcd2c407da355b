// SPDX-License-Identifier: Apache-2.0

package procfile

import "math"

// The kernel's fixed point (include/linux/sched/loadavg.h).
const (
	loadShift = 11             // FSHIFT
	loadOne   = 1 << loadShift // FIXED_1: a load of 1
	loadRound = loadOne / 200  // half a hundredth, which get_avenrun adds
)

// A Loadavg is the content of /proc/loadavg (fs/proc/loadavg.c, proc_loadavg(5)):
//
//	0.42 0.60 0.79 1/97 14099
type Loadavg struct {
	// Load are the averages over 1, 5 and 15 minutes in units of 1/2048, the
	// kernel's fixed point (FSHIFT 11, include/linux/sched/loadavg.h).
	Load    [3]uint64
	Running int // tasks in state R
	Total   int // tasks
	LastPID int // the largest, or the last given, PID
}

// Append appends the file's text to dst: averages rounded to hundredths as the
// kernel rounds them. Negative counts are written as 0.
func (l Loadavg) Append(dst []byte) []byte {
	for _, load := range l.Load {
		if load > math.MaxUint64-loadRound {
			load = math.MaxUint64 - loadRound
		}
		load += loadRound
		dst = appendHundredths(dst, load>>loadShift, load%loadOne*100>>loadShift)
		dst = append(dst, ' ')
	}
	dst = appendRight(dst, uint64(max(0, l.Running)), 0)
	dst = append(dst, '/')
	dst = appendRight(dst, uint64(max(0, l.Total)), 0)
	dst = append(dst, ' ')
	dst = appendRight(dst, uint64(max(0, l.LastPID)), 0)
	return append(dst, '\n')
}
