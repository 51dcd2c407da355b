// SPDX-License-Identifier: Apache-2.0

package cputime

import "time"

// A Column is what one CPU has been doing since the container's start, as the
// container is shown it. The four times never fall, and add up to the time for
// which the CPU was visible.
type Column struct {
	CPU     int  // the kernel's number
	Visible bool // hidden ones are frozen; they still count in the sum over all CPUs
	User    time.Duration
	System  time.Duration
	Idle    time.Duration
	Steal   time.Duration // time that the quota refused
}

// Busy is User + System.
func (c *Column) Busy() time.Duration { return c.User + c.System }

// Total is the sum of the four times.
func (c *Column) Total() time.Duration { return c.User + c.System + c.Idle + c.Steal }
