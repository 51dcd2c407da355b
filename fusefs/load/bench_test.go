// SPDX-License-Identifier: Apache-2.0

package load

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func benchEngine(b *testing.B) *Engine {
	e, err := New(Config{Proc: "/proc", Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	return e
}

// BenchmarkRead is what a read costs between two samples.
func BenchmarkRead(b *testing.B) {
	c := benchEngine(b).Watch(ownTasks(b), os.Getpid(), time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		read(b, c)
	}
}

// BenchmarkPass is what a container costs each 5 s while somebody reads it, by
// the number of its tasks; without the listing of their TIDs.
func BenchmarkPass(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			tids := make(existing, n)
			for i := range tids {
				tids[i] = os.Getpid()
			}
			c := benchEngine(b).Watch(tids, os.Getpid(), time.Time{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.pass(listedInSweep, passTime); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Benchmark500 is what 500 containers of 5 sleeping tasks cost in 5 s if all of
// them are read. If nobody does they cost nothing, there being no timer:
// TestIdleContainers.
func Benchmark500(b *testing.B) {
	e := benchEngine(b)
	containers := make([]*Container, 500)
	for i := range containers {
		containers[i] = e.Watch(existing{1, 1, 1, 1, 1}, 1, time.Time{})
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range containers {
			if _, err := c.pass(listedInSweep, sweepTime/500); err != nil {
				b.Fatal(err)
			}
		}
	}
}
