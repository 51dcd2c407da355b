// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"math"
)

// uptimePath names the file in errors.
const uptimePath = "proc/uptime"

// An Uptime is the content of /proc/uptime (fs/proc/uptime.c, proc_uptime(5)), in
// seconds with two digits after the point, so in ticks:
//
//	18940.16 26002.97
type Uptime struct {
	Up   Ticks // since boot
	Idle Ticks // summed over the CPUs
}

// ParseUptime parses the whole of /proc/uptime. The error is a [*ParseError].
func ParseUptime(text []byte) (Uptime, error) {
	line, err := onlyLine(uptimePath, text)
	if err != nil {
		return Uptime{}, err
	}
	up, idle, _ := bytes.Cut(line, []byte{' '})
	var u Uptime
	for _, field := range [...]struct {
		text []byte
		to   *Ticks
	}{{up, &u.Up}, {idle, &u.Idle}} {
		seconds, hundredths, ok := parseHundredths(field.text)
		if !ok || seconds > math.MaxUint64/100-1 {
			return Uptime{}, failLine(uptimePath, 1, line, ErrNumber)
		}
		*field.to = Ticks(seconds*100 + hundredths)
	}
	return u, nil
}

// Append appends the file's text to dst.
func (u Uptime) Append(dst []byte) []byte {
	dst = u.Up.appendSeconds(dst)
	dst = append(dst, ' ')
	dst = u.Idle.appendSeconds(dst)
	return append(dst, '\n')
}
