// SPDX-License-Identifier: Apache-2.0

package history

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
)

func TestAdvanceAllocatesNothingWarm(t *testing.T) {
	e := quiet(t, t.TempDir()).Entry(web())
	var columns []cputime.Column
	now := 10 * s
	read := func() {
		now += ms
		columns, _ = e.Advance(columns, at(now, 64))
	}
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAdvance writes to the directory for temporary files; set TMPDIR to one
// on a tmpfs.
func BenchmarkAdvance(b *testing.B) {
	for _, c := range []struct {
		name string
		cpus int
		each func(*Entry)
	}{
		{"2", 2, func(*Entry) {}},
		{"64", 64, func(*Entry) {}},
		{"8192", 8192, func(*Entry) {}},
		{"2/closed", 2, (*Entry).Close},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := quiet(b, b.TempDir()).Entry(web())
			var columns []cputime.Column
			now := 10 * s
			b.ReportAllocs()
			for b.Loop() {
				now += ms
				var err error
				if columns, err = e.Advance(columns, at(now, c.cpus)); err != nil {
					b.Fatal(err)
				}
				c.each(e)
			}
		})
	}
}
