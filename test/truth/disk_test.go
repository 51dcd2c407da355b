// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// written is what the cgroup's files say it wrote to a disk, in bytes: v2's
// io.stat, v1's blkio.throttle.io_service_bytes_recursive.
func (c cgroup) written(t *testing.T, disk testenv.Disk) int64 {
	t.Helper()
	name := "blkio.throttle.io_service_bytes_recursive"
	if c.v2 {
		name = "io.stat"
	}
	text := must(os.ReadFile(c.file("blkio", name)))(t)
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, disk.Number+" ")
		switch {
		case !ok:
		case !c.v2:
			if value, ok := strings.CutPrefix(rest, "Write "); ok {
				return int64(decimal(t, value))
			}
		default:
			for field := range strings.FieldsSeq(rest) {
				if value, ok := strings.CutPrefix(field, "wbytes="); ok {
					return int64(decimal(t, value))
				}
			}
		}
	}
	return 0
}

// diskTools print "TOOL BYTES", what was written to the disk named $1. iostat
// takes the host's /sys/block but where it is asked for all partitions.
const diskTools = `
echo diskstats $(awk -v disk="$disk" '$3 == disk { printf "%.0f", $10 * 512 }' /proc/diskstats)
echo vmstat $(vmstat -d | awk -v disk="$disk" '$1 == disk { printf "%.0f", $8 * 512 }')
echo iostat $(iostat -d -k -p ALL | awk -v disk="$disk" '$1 == disk { printf "%.0f", $7 * 1024 }')
echo psutil $(` + python + ` -c 'import psutil, sys
one = psutil.disk_io_counters(perdisk=True).get(sys.argv[1])
print(one.write_bytes if one else "")' "$disk")
echo node-exporter $(metrics | sed -n 's/^node_disk_written_bytes_total{device="'$disk'"} //p')
`

// TestDisk writes past the page cache: the container's diskstats show it, its
// neighbour's don't.
func TestDisk(t *testing.T) {
	for _, tool := range []string{"vmstat", "iostat", python, exporter} {
		testenv.RequireTool(t, tool)
	}
	testenv.NoLeaks(t)
	dir := t.TempDir()
	disk := testenv.RequireDiskBelow(t, dir)
	// Linux 6.18 counts a v1 cgroup's I/O once it has a rule; this one never binds.
	rule := []string{"--device-write-bps", disk.Path + ":100gb", "-v", dir + ":/disk"}
	writer, neighbour := start(t, "truth-disk", rule...), start(t, "truth-disk-neighbour", rule...)
	const size = 64 * mib
	writer.ask(t, fmt.Sprintf("dd if=/dev/zero of=/disk/file bs=%d count=%d oflag=direct 2>&1", mib, size/mib))

	for _, c := range []*container{writer, neighbour} {
		before := c.cgroup.written(t, disk)
		out := c.ask(t, "metrics() { (\n"+exporting(`print(metrics("diskstats"))`)+"\n) }\ndisk="+filepath.Base(disk.Path)+diskTools)
		after := c.cgroup.written(t, disk)
		t.Logf("%s: its cgroup wrote %d to %d bytes\n%s", c.name, before, after, out)
		if wrote := before >= size; wrote != (c == writer) || after > size+4*mib {
			t.Errorf("%d bytes were written by %s, and the cgroup of %s has %d", size, writer.name, c.name, after)
		}
		for line := range strings.Lines(out) {
			tool, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			shown := int64(0) // no line: a disk without I/O
			if value != "" {
				shown = int64(decimal(t, value))
			}
			if shown < before-512 || shown > after {
				t.Errorf("%s in %s shows %d bytes written to %s, its cgroup's file %d to %d", tool, c.name, shown, disk.Path, before, after)
			}
		}
	}
}
