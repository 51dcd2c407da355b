// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// With contiguous numbering cpu0 is CPU 1 at first, and CPU 0, which did nothing
// for the container, after its cpuset has moved; its line doesn't fall.
func TestContiguousNumbersOverAMove(t *testing.T) {
	b := newBench(t, "debian12-hybrid")
	c := b.container()
	p := view.Policy{Numbering: view.NumberingContiguous}
	put := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(b.host.Path("sys/fs/cgroup/"+file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const container = "/procfs-shim-fixture/container/"
	before := fields(t, b.text(c, "proc/stat", p), "cpu0")
	put("cpuacct"+container+"cpuacct.usage_percpu", "0 200013520002 \n")
	put("cpuacct"+container+"cpuacct.usage", "200013520002\n")
	b.up += 300 * time.Second
	busy := fields(t, b.text(c, "proc/stat", p), "cpu0")
	put("cpuset"+container+"cpuset.effective_cpus", "0\n")
	b.up += 10 * time.Second
	moved := fields(t, b.text(c, "proc/stat", p), "cpu0")
	if used := busy[0] + busy[2] - before[0] - before[2]; used < 19990 || used > 20010 {
		t.Errorf("200 s of CPU 1 are %d ticks of cpu0", used)
	}
	for i := range moved {
		if busy[i] < before[i] || moved[i] < busy[i] {
			t.Errorf("column %d falls: %v, %v, %v", i, before, busy, moved)
		}
	}
	if rest := moved[3] - busy[3]; rest < 995 || rest > 1005 {
		t.Errorf("10 s idle are %d ticks", rest)
	}
	if text := b.text(c, "proc/stat", p); len(fields(t, text, "cpu1")) > 0 {
		t.Errorf("cpu1 is shown:\n%s", text)
	}
}
