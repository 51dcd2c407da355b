// SPDX-License-Identifier: Apache-2.0

//go:build vmslow

package vm

import (
	"strings"
	"testing"
	"time"
)

// load are tests with tens of thousands of reads from many threads: about our
// server rather than about the guest's kernel.
const load = "^Test(Bound|Shared)Tree$/^(an_open_file_never_shows_half_of_two_texts|10,000_open_descriptors|parallel_pread_on_one_descriptor_is_safe)$"

// TestSlowEndToEnd runs the end-to-end tests that start many containers on a v2
// host.
func TestSlowEndToEnd(t *testing.T) {
	for _, name := range slowPackages() {
		t.Run(name, func(t *testing.T) {
			RunTests(t, Config{MemoryMB: 3072, Timeout: 30 * time.Minute, Skip: load}, strings.TrimPrefix(name, "./"))
		})
	}
}

// TestSlowEndToEndTruth compares what tools show with the kernel's counters, on a
// v2 host of four CPUs: each look takes its time.
func TestSlowEndToEndTruth(t *testing.T) { withTools(t, truthPackage) }
