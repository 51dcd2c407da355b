// SPDX-License-Identifier: Apache-2.0

// Package cputime turns what a cgroup's counters say about CPU time into the
// columns of /proc/stat that its container is shown.
package cputime

import "time"

// A Column is what one CPU has been doing since the container's start, as the
// container is shown it. The four times never fall, and while the CPU is visible
// they add up to the time for which it was.
type Column struct {
	CPU     int  // the kernel's number
	Visible bool // hidden ones are frozen; they still count in the sum over all CPUs
	User    time.Duration
	System  time.Duration
	Idle    time.Duration
	Steal   time.Duration // time that the quota refused
}
