// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Idle stands in a Use for a server that nobody asks.
const Idle Mode = "idle"

// Use is what the measured server used while it was read, or wasn't.
type Use struct {
	Mode       Mode `json:"mode"`    // of the reads, or Idle
	Readers    int  `json:"readers"` // 0 if idle
	Containers int  `json:"containers"`
	// Wall is how long the server was watched, CPU is its CPU time meanwhile, in
	// seconds.
	Wall float64 `json:"wall_s"`
	CPU  float64 `json:"cpu_s"`
	// Reads is how many timed reads it answered meanwhile; a few more weren't
	// timed.
	Reads uint64 `json:"reads"`
	// RSS is its resident memory in the end, in bytes; so are Threads and
	// Descriptors counted.
	RSS         int64 `json:"rss_bytes"`
	Threads     int   `json:"threads"`
	Descriptors int   `json:"descriptors"`
}

// CPUPerRead is the server's CPU time for one read, in seconds; 0 when there
// were none.
func (u Use) CPUPerRead() float64 {
	if u.Reads == 0 {
		return 0
	}
	return u.CPU / float64(u.Reads)
}

// MemoryPerContainer is by how many bytes the memory of the server grew with each
// container, from the fewest to the most of them, idle; false where there
// weren't several numbers of containers.
func MemoryPerContainer(uses []Use) (bytes float64, ok bool) {
	var idle []Use
	for _, u := range uses {
		if u.Mode == Idle {
			idle = append(idle, u)
		}
	}
	if len(idle) < 2 || idle[0].Containers == idle[len(idle)-1].Containers {
		return 0, false
	}
	first, last := idle[0], idle[len(idle)-1]
	return float64(last.RSS-first.RSS) / float64(last.Containers-first.Containers), true
}

// WriteUse writes what the server used for a person.
func WriteUse(w io.Writer, uses []Use) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{"SERVER\tREADERS\tCONTAINERS\t   CPU %\tCPU µs/read\tMEMORY MiB\tTHREADS\tDESCRIPTORS\n"}
	for _, u := range uses {
		perRead := "-"
		if u.Reads > 0 {
			perRead = Significant(u.CPUPerRead() * 1e6)
		}
		lines = append(lines, fmt.Sprintf("%s\t%7d\t%10d\t%8.2f\t%11s\t%10.1f\t%7d\t%11d\n", u.Mode, u.Readers, u.Containers,
			100*u.CPU/max(u.Wall, 1e-9), perRead, float64(u.RSS)/(1<<20), u.Threads, u.Descriptors))
	}
	if _, err := io.WriteString(t, strings.Join(lines, "")); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if each, ok := MemoryPerContainer(uses); ok {
		if _, err := fmt.Fprintf(w, "%.1f KiB of memory for each container.\n", each/1024); err != nil {
			return err
		}
	}
	return nil
}
