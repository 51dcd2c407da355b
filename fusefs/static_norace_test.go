// SPDX-License-Identifier: Apache-2.0

//go:build !race

package fusefs

import "testing"

func TestStaticAllocatesNothing(t *testing.T) {
	r := newStaticRig(t, "debian12-v2")
	c, ok := r.bound.acquire(1)
	if !ok {
		t.Fatal("no container")
	}
	defer c.Release()
	for _, path := range []string{"proc/cpuinfo", "sys/devices/system/cpu/online"} {
		f := fileAt(t, path)
		c.Check(f)
		if n := testing.AllocsPerRun(100, func() { c.Check(f) }); n >= 1 {
			t.Errorf("%s: %g allocations", path, n)
		}
	}
}
