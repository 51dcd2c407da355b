// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

func parseSwaps(tb testing.TB, text string) *procfile.Swaps {
	tb.Helper()
	s, err := procfile.ParseSwaps([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSwaps(t *testing.T) {
	const wide = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	const narrow = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
	const area = "none                                    virtual\t\t"
	for _, c := range []struct {
		name, headings string
		total, free    uint64
		want           string
	}{
		{"no swap", wide, 0, 0, ""},
		{"some used", wide, 512 * miB, 384 * miB, area + "524288\t\t131072\t\t-2\n"},
		{"before 5.10", narrow, 512 * miB, 384 * miB, area + "524288\t131072\t-2\n"},
		{"more free than there is", wide, miB, 2 * miB, area + "1024\t\t0\t\t-2\n"},
		{"large numbers take a tab less", wide, 16 * giB, 0, area + "16777216\t16777216\t-2\n"},
	} {
		host := parseSwaps(t, c.headings+"/dev/vda                                partition\t65532\t\t0\t\t-2\n")
		var dst procfile.Swaps
		SwapsInto(&dst, host, c.total, c.free)
		if got := string(dst.Append(nil)); got != c.headings+c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, got, c.headings+c.want)
		}
	}
}

// What swaps says is what meminfo says, whatever the input.
func TestSwapNumbersAreMeminfos(t *testing.T) {
	const seed = 22
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range 2000 {
		w := randomWorld(t, rnd)
		if i%10 == 0 {
			w.chain = nil
		}
		shown := w.meminfo()
		total, free := SwapNumbers(w.host, w.chain, w.p)
		if wantTotal, wantFree := get(t, shown, "SwapTotal"), get(t, shown, "SwapFree"); total != wantTotal || free != wantFree {
			t.Fatalf("world %d: %d of %d free, meminfo says %d of %d", i, free, total, wantFree, wantTotal)
		}
	}
}

func parsePressure(tb testing.TB, text string) *procfile.Pressure {
	tb.Helper()
	p, err := procfile.ParsePressure([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestPressure(t *testing.T) {
	const hosts = "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	host := parsePressure(t, hosts)
	dst := parsePressure(t, "some total=1\n") // what was there is gone
	PressureInto(dst, host, nil)
	const zeros = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	if got := string(dst.Append(nil)); got != zeros {
		t.Errorf("without a cgroup's file: %q", got)
	}
	for _, name := range fixture.Names(t) {
		if !strings.Contains(name, "v2") {
			continue
		}
		captured := fixture.Load(t, name)
		for _, resource := range []string{"cpu", "memory", "io"} {
			text := captured.Read("sys/fs/cgroup" + fixture.Container + "/" + resource + ".pressure")
			PressureInto(dst, host, parsePressure(t, text))
			if got := string(dst.Append(nil)); got != text {
				t.Errorf("%s: %s: %q, the cgroup's file has %q", name, resource, got, text)
			}
		}
	}
	if got := string(host.Append(nil)); got != hosts {
		t.Errorf("the host's was changed: %q", got)
	}
}

func TestSlabinfo(t *testing.T) {
	parse := func(name string) *procfile.Slabinfo {
		s, err := procfile.ParseSlabinfo(hostText(t, "slabinfo/"+name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	host, cgroup := parse("debian12-linux6.18-head"), parse("synthetic-memcg-v1")
	dst := parse("synthetic-statistics") // what was there is gone
	SlabinfoInto(dst, host, nil)
	golden(t, "slabinfo-header.txt", dst.Append(nil))
	SlabinfoInto(dst, host, cgroup)
	golden(t, "slabinfo-v1.txt", dst.Append(nil))
	SlabinfoInto(dst, host, new(procfile.Slabinfo)) // after an error
	golden(t, "slabinfo-header.txt", dst.Append(nil))
	if host.Caches() == 0 {
		t.Error("the host's was changed")
	}
}

func TestTextsAllocateNothingWarm(t *testing.T) {
	host, chain, _ := benchmarkInput(t)
	swaps := parseSwaps(t, string(hostText(t, "swaps/synthetic-linux5.10-three.txt")))
	pressure := parsePressure(t, string(hostText(t, "pressure/synthetic-linux4.20-cpu.txt")))
	slabinfo, err := procfile.ParseSlabinfo(hostText(t, "slabinfo/debian12-linux6.18-head.txt"))
	if err != nil {
		t.Fatal(err)
	}
	chain[0].SwapMax = limits.To(miB)
	var s procfile.Swaps
	var p procfile.Pressure
	var c procfile.Slabinfo
	var buf []byte
	round := func() {
		total, free := SwapNumbers(host, chain, Policy{})
		SwapsInto(&s, swaps, total+giB, free)
		PressureInto(&p, pressure, nil)
		SlabinfoInto(&c, slabinfo, slabinfo)
		buf = c.Append(p.Append(s.Append(buf[:0])))
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
}

func BenchmarkSwaps(b *testing.B) {
	host, chain, _ := benchmarkInput(b)
	swaps := parseSwaps(b, string(hostText(b, "swaps/synthetic-linux5.10-three.txt")))
	var dst procfile.Swaps
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		total, free := SwapNumbers(host, chain, Policy{})
		SwapsInto(&dst, swaps, total+giB, free)
		buf = dst.Append(buf[:0])
	}
}

func BenchmarkPressure(b *testing.B) {
	host := parsePressure(b, string(hostText(b, "pressure/debian12-linux6.18-cpu.txt")))
	var dst procfile.Pressure
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		PressureInto(&dst, host, nil)
		buf = dst.Append(buf[:0])
	}
}
