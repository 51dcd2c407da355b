// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ticksPerSecond is USER_HZ, 100 on every architecture that we know.
const ticksPerSecond = 100

// statRead is one read of /proc/stat in a container, between two moments.
type statRead struct {
	before, after time.Time
	columns       map[string][]int64 // "cpu", "cpu0", …: user, nice, system, idle, …
}

// stat reads the container's /proc/stat.
func (c *container) stat(t *testing.T) statRead {
	t.Helper()
	j := c.begin(t, "cat /proc/stat")
	text, ended := j.output(t)
	r := statRead{j.began, ended, map[string][]int64{}}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		for _, field := range fields[1:] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.columns[fields[0]] = append(r.columns[fields[0]], n)
		}
	}
	return r
}

// visible is how many CPUs a read shows.
func (r statRead) visible() int { return len(r.columns) - 1 }

// The columns of a line, proc_stat(5).
const (
	idleColumn  = 3
	stealColumn = 7
)

// since gives what the columns of all CPUs say of the time since an earlier read.
func (r statRead) since(first statRead) sight {
	all := 0.0
	grown := make([]float64, len(r.columns["cpu"]))
	for i, value := range r.columns["cpu"] {
		grown[i] = float64(value - first.columns["cpu"][i])
		all += grown[i]
	}
	percent := func(ticks float64) float64 { return 100 * ticks / all }
	idle, steal := grown[idleColumn], grown[stealColumn]
	return sight{
		tool:   "/proc/stat",
		shares: shares{percent(all - idle - steal), percent(steal), percent(idle)},
		length: time.Duration(all / ticksPerSecond / float64(r.visible()) * float64(time.Second)),
		output: fmt.Sprintf("%v\n%v", first.columns, r.columns),
		began:  first.before, seen: r.after,
	}
}
