// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// Tasks counts a container's tasks for /proc/stat.
type Tasks struct {
	Running int // in state R
	Blocked int // in state D
}

// StatInto makes the container's /proc/stat of the host's. dst, which is reused,
// must not be host; it shares nothing with host. columns ascend by CPU.
//
//	cpu              the sum over columns, hidden CPUs included
//	cpuN             one line for each visible CPU, with the kernel's number, or
//	                 with 0, 1, 2, … if p numbers them contiguously
//	user, system,    the column's time in ticks, rounded down
//	idle, steal
//	other times      0: nobody accounts them to a cgroup
//	btime            the host's − bootShift
//	procs_running,   tasks
//	procs_blocked
//	others           as many zeros as the host has numbers, or the host's with
//	                 p.HostCounters
//
// bootShift is the boottime offset of the container's time namespace, as
// /proc/PID/timens_offsets gives it: minus the time from the host's boot to the
// container's start makes btime that start, which is what the kernel's own file
// shows there (timens_sub_boottime, fs/proc/stat.c). The host's file has whole
// seconds only, so btime can be one second less than the kernel's.
//
// The file is never without a line of the host's, and never has more numbers in a
// line. The sum is exact because it is made of rounded numbers: "cpu" is the sum
// of the cpuN lines as long as every CPU is visible. Where a kernel prints no
// steal (before 2.6.11), that time counts as idle.
//
// For a container that has no CPU times of its own, that is with [CPUViewHost] or
// in the root cgroup (an empty chain), the caller shows the host's file unchanged
// instead.
func StatInto(dst, host *procfile.Stat, columns []cputime.Column, tasks Tasks, bootShift time.Duration, p Policy) {
	dst.CopyCounters(host)
	shown := 0
	for i := range columns {
		c := &columns[i]
		addColumn(dst.Sum(), c)
		if !c.Visible {
			continue
		}
		id := c.CPU
		if p.Numbering == NumberingContiguous {
			id = shown
		}
		addColumn(dst.AddCPU(id), c)
		shown++
	}
	for i := range dst.Lines() {
		switch dst.Label(i) {
		case "btime":
			dst.SetValue(i, shiftBack(dst.Value(i), bootShift))
		case "procs_running":
			dst.SetValue(i, uint64(max(0, tasks.Running)))
		case "procs_blocked":
			dst.SetValue(i, uint64(max(0, tasks.Blocked)))
		default:
			if !p.HostCounters {
				dst.Clear(i)
			}
		}
	}
}

// addColumn adds a CPU's times to the columns of a line, each in whole ticks.
func addColumn(line []procfile.Ticks, c *cputime.Column) {
	steal := procfile.StatSteal
	if len(line) <= steal {
		steal = procfile.StatIdle
	}
	line[procfile.StatUser] += procfile.TicksOf(c.User)
	line[procfile.StatSystem] += procfile.TicksOf(c.System)
	line[procfile.StatIdle] += procfile.TicksOf(c.Idle)
	line[steal] += procfile.TicksOf(c.Steal)
}

// shiftBack is a time in seconds minus d, rounded down.
func shiftBack(seconds uint64, d time.Duration) uint64 {
	if d <= 0 {
		return add(seconds, uint64(-(d / time.Second)))
	}
	whole := d / time.Second
	if d%time.Second != 0 {
		whole++
	}
	return sub(seconds, uint64(whole))
}
