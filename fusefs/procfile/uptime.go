// SPDX-License-Identifier: Apache-2.0

package procfile

// An Uptime is the content of /proc/uptime (fs/proc/uptime.c, proc_uptime(5)), in
// seconds with two digits after the point, so in ticks:
//
//	18940.16 26002.97
type Uptime struct {
	Up   Ticks // since boot
	Idle Ticks // summed over the CPUs
}

// Append appends the file's text to dst.
func (u Uptime) Append(dst []byte) []byte {
	dst = u.Up.appendSeconds(dst)
	dst = append(dst, ' ')
	dst = u.Idle.appendSeconds(dst)
	return append(dst, '\n')
}
