// SPDX-License-Identifier: Apache-2.0

//go:build !race

// The race detector makes a sync.Pool lose some of what it was given.

package cgroupread_test

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// Once warm a read allocates nothing, recorded or not.
func TestNoAllocations(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			cg := open(t, detect(t, fixture.Load(t, name)), fixture.Container)
			for _, r := range warmReads() {
				var record cgroupread.Record
				n := testing.AllocsPerRun(20, func() {
					record.Reset()
					if err := r.read(cg.Reader(&record)); err != nil {
						t.Fatal(err)
					}
				})
				if n > 0 {
					t.Errorf("%s: %v allocations", r.name, n)
				}
			}
		})
	}
}
