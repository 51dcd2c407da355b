// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// What a record holds stays as it was, however often others read anew; and what was
// read without a record for good.
func TestHeld(t *testing.T) {
	host, files, move := open(t)
	text := func(i int) string {
		return fmt.Sprintf("MemTotal:       %8d kB\nMemFree:        %8d kB\nMemAvailable:   %8d kB\n", i, i, i)
	}
	total := func(m Memory) uint64 { v, _ := m.Meminfo.Get("MemTotal"); return v / 1024 }
	type held struct {
		record *Record
		memory Memory
		want   int
	}
	var all []held
	for i := range 20 {
		host.Write("proc/meminfo", text(i))
		move(maxAge + 1)
		var record *Record
		if i%2 == 0 {
			record = new(Record)
		}
		memory, err := files.Reader(record).Memory()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, held{record, memory, i})
		if i%4 == 0 && i > 8 {
			all[i-8].record.Reset()
			all[i-8].record.Reset() // which does nothing
			all[i-8].record = nil
			all[i-8].want = -1
		}
	}
	for _, h := range all {
		if h.want < 0 {
			continue
		}
		if got := total(h.memory); got != uint64(h.want) {
			t.Errorf("what said %d says %d", h.want, got)
		}
		if h.record != nil {
			h.record.Each(func(path string, got []byte) {
				if strings.HasSuffix(path, "meminfo") && string(got) != text(h.want) {
					t.Errorf("the record of %d says %q", h.want, got)
				}
			})
		}
	}
}

// Readers at the same time while the file changes and gets old at every read: each
// sees one text, from its reading until its record's Reset.
func TestHeldByMany(t *testing.T) {
	host := fixture.Load(t, "debian12-hybrid")
	var clock atomic.Int64
	files, err := Open(host.Proc, host.Sys, func() time.Time { return time.Unix(0, clock.Add(int64(maxAge)/2)) })
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			var record Record
			for range 500 {
				record.Reset()
				r := files.Reader(&record)
				memory, err := r.Memory()
				if err != nil {
					t.Error(err)
					return
				}
				shown := string(memory.Meminfo.Append(nil))
				own, err := r.Append(nil, "proc/loadavg", false)
				if err != nil {
					t.Error(err)
					return
				}
				record.Each(func(path string, text []byte) {
					if strings.HasSuffix(path, "/meminfo") && string(text) != shown || strings.HasSuffix(path, "/loadavg") && !bytes.Equal(text, own) {
						t.Errorf("%s: recorded %q beside what it said", path, text)
					}
				})
				if again := string(memory.Meminfo.Append(nil)); again != shown {
					t.Errorf("%q became %q", shown, again)
				}
			}
		})
	}
	readers.Wait()
	if err := files.Close(); err != nil {
		t.Error(err)
	}
}

// A warm reader allocates nothing, also when everything is read anew.
func TestNoAllocations(t *testing.T) {
	_, files, move := open(t)
	var record Record
	var dst []byte
	for name, read := range map[string]func(Reader) error{
		"Memory":    func(r Reader) error { return second(r.Memory()) },
		"Stat":      func(r Reader) error { return second(r.Stat()) },
		"Diskstats": func(r Reader) error { return second(r.Diskstats()) },
		"Vmstat":    func(r Reader) error { return second(r.Vmstat()) },
		"Swaps":     func(r Reader) error { return second(r.Swaps()) },
		"Online":    func(r Reader) error { return second(r.Online()) },
		"NodeCPUs":  func(r Reader) error { return second(r.NodeCPUs(0)) },
		"Append": func(r Reader) (err error) {
			dst, err = r.Append(dst[:0], "proc/loadavg", false)
			return err
		},
	} {
		anew := func() {
			move(maxAge + 1)
			record.Reset()
			if err := read(files.Reader(&record)); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // versions that take turns
			anew()
		}
		if n := testing.AllocsPerRun(50, anew); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// An error in a file whose CPUs are passed over names the line in the file.
func TestStatError(t *testing.T) {
	host, files, _ := open(t)
	host.Write("proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nctxt many\nbtime 5\n")
	if _, err := files.Reader(nil).Stat(); err == nil || !strings.Contains(err.Error(), "4") || !strings.Contains(err.Error(), "ctxt many") {
		t.Errorf("%v, want line 4", err)
	}
}

// BenchmarkRenewStat reads /proc/stat of a host with 512 CPUs anew.
func BenchmarkRenewStat(b *testing.B) {
	var text strings.Builder
	line := " 1000000 0 200000 30000000 4000 0 500 0 0 0\n"
	text.WriteString("cpu " + line)
	for i := range 512 {
		fmt.Fprintf(&text, "cpu%d%s", i, line)
	}
	text.WriteString("intr 12345" + strings.Repeat(" 0", 2048) + "\nctxt 1\nbtime 2\nprocesses 3\nprocs_running 1\nprocs_blocked 0\nsoftirq 5 1 1 1 1 1\n")
	whole := []byte(text.String())
	b.Run("shown", func(b *testing.B) {
		var c counters
		b.ReportAllocs()
		for b.Loop() {
			c, _ = parseStat(c, whole)
		}
	})
	b.Run("all", func(b *testing.B) {
		var s procfile.Stat
		b.ReportAllocs()
		for b.Loop() {
			_ = s.Parse(whole)
		}
	})
}
