// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

func list(tb testing.TB, text string) cpulist.Set {
	tb.Helper()
	set, err := cpulist.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestShownNodes(t *testing.T) {
	for _, c := range []struct {
		online, mems string
		limited      bool
		want         string
	}{
		{"0-1", "", false, "0-1"},
		{"0-1", "1", false, "0-1"},
		{"0-1", "1", true, "1"},
		{"0-1", "0-7", true, "0-1"},
		{"0,2", "1-2", true, "2"},
		{"0", "1", true, "0"}, // node 1 went offline between the reads
		{"0", "", true, "0"},
		{"0-99", "64-70", true, "64-70"},
	} {
		if got := ShownNodes(list(t, c.online), list(t, c.mems), c.limited).String(); got != c.want {
			t.Errorf("online %s, mems %s (%v): %s, want %s", c.online, c.mems, c.limited, got, c.want)
		}
	}
}

func TestNodesWithCPUs(t *testing.T) {
	nodes := []HostNode{{ID: 0, CPUs: list(t, "0-3")}, {ID: 1, CPUs: list(t, "4-7")}, {ID: 64, CPUs: list(t, "1024-1031")}, {ID: 65}}
	for visible, want := range map[string]string{"0-7": "0-1", "4": "1", "3,1024": "0,64", "": ""} {
		if got := NodesWithCPUs(nodes, list(t, visible)).String(); got != want {
			t.Errorf("visible %s: %s, want %s", visible, got, want)
		}
	}
}

func TestAppendCPUMap(t *testing.T) {
	for _, c := range [][3]string{ // as wide as nr_cpu_ids of the host
		{"3\n", "0-1", "3\n"},
		{"3\n", "1", "2\n"},
		{"3\n", "", "0\n"},
		{"ff,ffffffff\n", "31-33", "03,80000000\n"},
		{"00000000,ffffffff\n", "3,40", "00000000,00000008\n"},
		{"ffffffff,00000000\n", "3,40", "00000100,00000000\n"},
		{"f", "0-1000", "f"},
	} {
		got := AppendCPUMap([]byte("f,"), []byte(c[0]), list(t, c[1]))
		if string(got) != "f,"+c[2] {
			t.Errorf("%q with %s: %q, want %q", c[0], c[1], got, c[2])
		}
	}
	// 2048 CPUs
	wide := strings.Repeat("ffffffff,", 63) + "ffffffff\n"
	got := string(AppendCPUMap(nil, []byte(wide), cpulist.Of(1024, 2047)))
	want := "80000000," + strings.Repeat("00000000,", 30) + "00000001," + strings.Repeat("00000000,", 31) + "00000000\n"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestAppendNodeDistance(t *testing.T) {
	for _, c := range [][4]string{
		{"10\n", "0", "0", "10\n"},
		{"10 20\n", "0-1", "0-1", "10 20\n"},
		{"10 20\n", "0-1", "1", "20\n"},
		{"10 20 30\n", "0,2,7", "2,7", "20 30\n"}, // nodes 1 and 3-6 are offline
		{"10 20 30\n", "0,2,7", "0,3,7", "10 30\n"},
		{"10 20 30\n", "0", "0", "10\n"}, // a node came online between the reads
		{"", "0", "0", "\n"},
	} {
		got := AppendNodeDistance([]byte("x"), []byte(c[0]), list(t, c[1]), list(t, c[2]))
		if string(got) != "x"+c[3] {
			t.Errorf("%q online %s shown %s: %q, want %q", c[0], c[1], c[2], got, c[3])
		}
	}
}

func TestNumastat(t *testing.T) {
	const text = "numa_hit 14401\nnuma_miss 3\n"
	host, err := procfile.ParseNumastat([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var dst procfile.Numastat
	NumastatInto(&dst, host, Policy{})
	if got := string(dst.Append(nil)); got != "numa_hit 0\nnuma_miss 0\n" {
		t.Errorf("got %s", got)
	}
	NumastatInto(&dst, host, Policy{HostCounters: true})
	if got := string(dst.Append(nil)); got != text {
		t.Errorf("with the host's counters: %s", got)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		value         uint64
		weights, room []uint64
		want          []uint64
	}{
		{10, []uint64{1, 1}, []uint64{99, 99}, []uint64{5, 5}},
		{10, []uint64{1, 2}, []uint64{99, 99}, []uint64{3, 7}},                  // the last takes the rest
		{10, []uint64{3, 1}, []uint64{4, 99}, []uint64{4, 6}},                   // no more than there is room
		{10, []uint64{0, 1}, []uint64{99, 4}, []uint64{6, 4}},                   //
		{10, []uint64{0, 0}, []uint64{20, 20}, []uint64{5, 5}},                  // weights that say nothing
		{10, []uint64{1, 0}, []uint64{4, 4}, []uint64{4, 6}},                    // too little room
		{10, []uint64{0, 0}, []uint64{0, 0}, []uint64{0, 10}},                   //
		{10, []uint64{1<<64 - 1, 1<<64 - 1}, []uint64{99, 99}, []uint64{10, 0}}, // nonsense
		{0, []uint64{1, 1}, []uint64{9, 9}, []uint64{0, 0}},
		{1<<64 - 1, []uint64{1<<64 - 1}, []uint64{1<<64 - 1}, []uint64{1<<64 - 1}},
	} {
		room := slices.Clone(c.room)
		got := split(make([]uint64, len(c.want)), c.value, 1, c.weights, room)
		if !slices.Equal(got, c.want) {
			t.Errorf("%d by %v into %v: %v, want %v", c.value, c.weights, c.room, got, c.want)
		}
		for k := range room {
			if room[k] != sub(c.room[k], got[k]) {
				t.Errorf("%d by %v into %v: room left %v", c.value, c.weights, c.room, room)
			}
		}
	}
	if got := split(make([]uint64, 2), 3*kB, kB, []uint64{1, 1}, []uint64{9 * kB, 9 * kB}); got[0] != kB || got[1] != 2*kB {
		t.Errorf("by kB: %v", got)
	}
}

// nodeRows makes a node's meminfo of names and numbers in kB, or pages.
func nodeRows(tb testing.TB, id int, rows ...any) *procfile.NodeMeminfo {
	tb.Helper()
	var text strings.Builder
	for i := 0; i < len(rows); i += 2 {
		name := fmt.Sprint(rows[i])
		if strings.HasPrefix(name, "HugePages_") {
			fmt.Fprintf(&text, "Node %d %-16s %5d\n", id, name+":", rows[i+1])
		} else {
			fmt.Fprintf(&text, "Node %d %-15s %8d kB\n", id, name+":", rows[i+1])
		}
	}
	m, err := procfile.ParseNodeMeminfo([]byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// TestNodeMeminfo parts a container's memory over two nodes:
//
//	node 0: 1000 kB of the host's, node 1: 3000 kB
func TestNodeMeminfo(t *testing.T) {
	host := func(id int, size uint64) HostNode {
		return HostNode{ID: id, Meminfo: nodeRows(t, id, "MemTotal", size, "MemFree", size/2, "MemUsed", size/2, "SwapCached", 9,
			"Active", 9, "Inactive", 9, "Active(anon)", 9, "Inactive(anon)", 9, "Active(file)", 9, "Inactive(file)", 9,
			"Unevictable", 9, "Mlocked", 9, "Dirty", 9, "FilePages", 9, "Mapped", 9, "AnonPages", 9, "Shmem", 9, "KReclaimable", 9,
			"Slab", 9, "SReclaimable", 9, "SUnreclaim", 9, "Unaccepted", 5, "NewInNode", 9, "HugePages_Total", 4*(id+1), "HugePages_Free", 4)}
	}
	hosts := []HostNode{host(0, 1000), host(3, 3000)}
	node := func(id int, stat limits.MemoryStat) limits.NodeMemory { return limits.NodeMemory{Node: id, Stat: stat} }
	const k = kB
	shown := makeHost(t, "MemTotal", 400, "MemFree", 200, "Cached", 80, "SwapCached", 0, "Active", 90, "Inactive", 50,
		"Active(anon)", 60, "Inactive(anon)", 20, "Active(file)", 30, "Inactive(file)", 30, "Unevictable", 0, "Mlocked", 0,
		"Dirty", 8, "AnonPages", 60, "Mapped", 4, "Shmem", 20, "KReclaimable", 12, "Slab", 16, "SReclaimable", 12, "SUnreclaim", 4,
		"Unaccepted", 10, "HugePages_Total", 6, "HugePages_Free", 5)
	for _, c := range []struct {
		name  string
		usage []limits.NodeMemory
		want  [2][]any // for each node, in kB
	}{
		{"nothing is known of nodes", nil, [2][]any{
			{
				"MemTotal", 100, "MemFree", 50, "MemUsed", 50, "AnonPages", 15, "FilePages", 20, "Shmem", 5, "Slab", 4, "Mapped", 1,
				"Unaccepted", 5, "HugePages_Total", 1, "HugePages_Free", 1, "Mlocked", 0, "NewInNode", 9, "Active", 22,
			},
			{
				"MemTotal", 300, "MemFree", 150, "MemUsed", 150, "AnonPages", 45, "FilePages", 60, "Shmem", 15, "Slab", 12, "Mapped", 3,
				"Unaccepted", 5, "HugePages_Total", 5, "HugePages_Free", 4, "Mlocked", 0, "NewInNode", 9, "Active", 68,
			},
		}},
		{"all on the small node", []limits.NodeMemory{node(0, limits.MemoryStat{
			Anon: 60 * k, File: 80 * k, Shmem: 20 * k, SlabReclaimable: 12 * k, SlabUnreclaimable: 4 * k,
			ActiveAnon: 60 * k, InactiveAnon: 20 * k, ActiveFile: 30 * k, InactiveFile: 30 * k, FileMapped: 4 * k, FileDirty: 8 * k,
		}), node(3, limits.MemoryStat{})}, [2][]any{
			// 156 kB are known to be there, and 44 that no node tells are spread.
			{
				"MemTotal", 165, "MemFree", 0, "MemUsed", 165, "AnonPages", 60, "FilePages", 80, "Shmem", 20, "Slab", 16, "Mapped", 4,
				"Active", 90, "Inactive", 50, "Dirty", 8,
			},
			{
				"MemTotal", 235, "MemFree", 200, "MemUsed", 35, "AnonPages", 0, "FilePages", 0, "Shmem", 0, "Slab", 0, "Mapped", 0,
				"Active", 0, "Inactive", 0, "Dirty", 0,
			},
		}},
		{"v1 knows anon and file", []limits.NodeMemory{
			node(0, limits.MemoryStat{Anon: 20 * k, File: 30 * k}), node(3, limits.MemoryStat{Anon: 60 * k, File: 30 * k}),
		}, [2][]any{
			{"AnonPages", 15, "FilePages", 35, "Shmem", 5, "Active(anon)", 15, "Inactive(anon)", 5, "Active(file)", 15, "Dirty", 3},
			{"AnonPages", 45, "FilePages", 45, "Shmem", 15, "Active(anon)", 45, "Inactive(anon)", 15, "Active(file)", 15, "Dirty", 5},
		}},
		{"memory on a node that isn't shown", []limits.NodeMemory{
			node(1, limits.MemoryStat{Anon: 1 << 30}), node(3, limits.MemoryStat{Anon: 4 * k}),
		}, [2][]any{{"AnonPages", 0}, {"AnonPages", 60}}},
	} {
		for at, want := range c.want {
			var dst procfile.NodeMeminfo
			new(NodeSplit).MeminfoInto(&dst, hosts, at, shown, c.usage)
			for i := 0; i < len(want); i += 2 {
				name, value := fmt.Sprint(want[i]), want[i+1]
				got, ok := dst.Get(name)
				if !strings.HasPrefix(name, "HugePages_") {
					got /= k
				}
				if !ok || fmt.Sprint(got) != fmt.Sprint(value) {
					t.Errorf("%s: node %d: %s = %d, want %v", c.name, hosts[at].ID, name, got, value)
				}
			}
		}
	}
}

// Over any nodes, any usage: Σ over nodes is /proc/meminfo, and no part of a node
// is larger than its whole.
func TestNodeMeminfoInvariants(t *testing.T) {
	const seed = 30
	rnd := rand.New(rand.NewPCG(seed, 0))
	names := []string{
		"MemTotal", "MemFree", "MemUsed", "SwapCached", "Active", "Inactive", "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)",
		"Unevictable", "Mlocked", "Dirty", "Writeback", "FilePages", "Mapped", "AnonPages", "Shmem", "KernelStack", "PageTables",
		"SecPageTables", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "AnonHugePages", "ShmemHugePages", "FileHugePages",
		"Unaccepted", "HugePages_Total", "HugePages_Free", "HugePages_Surp",
	}
	var split NodeSplit
	for i := range 2000 {
		w := randomWorld(t, rnd)
		shown := w.meminfo()
		hosts, usage := randomNodes(t, rnd, names)
		sums := make(map[string]uint64)
		for at := range hosts {
			var dst procfile.NodeMeminfo
			split.MeminfoInto(&dst, hosts, at, shown, usage)
			row := func(name string) uint64 {
				v, ok := dst.Get(name)
				if !ok {
					t.Fatalf("no row %s", name)
				}
				return v
			}
			for _, name := range names {
				sums[name] += row(name)
			}
			for _, parts := range [][]string{ // the first is the whole of the others
				{"MemTotal", "MemFree", "MemUsed"},
				{"MemUsed", "FilePages", "AnonPages", "Slab", "KernelStack", "PageTables", "SecPageTables"},
				{"MemUsed", "Active", "Inactive", "Unevictable"},
				{"MemUsed", "SwapCached"},
				{"MemUsed", "Writeback"},
				{"FilePages", "Shmem", "FileHugePages"},
				{"FilePages", "Mapped"},
				{"FilePages", "Dirty"},
				{"Shmem", "ShmemHugePages"},
				{"AnonPages", "AnonHugePages"},
				{"Slab", "SReclaimable", "SUnreclaim"},
				{"Active", "Active(anon)", "Active(file)"},
				{"Inactive", "Inactive(anon)", "Inactive(file)"},
				{"HugePages_Total", "HugePages_Free"},
			} {
				var sum uint64
				for _, name := range parts[1:] {
					sum += row(name)
				}
				exact := slices.Contains([]string{"MemTotal", "Slab", "Active", "Inactive"}, parts[0])
				if sum > row(parts[0]) || exact && sum != row(parts[0]) {
					t.Fatalf("seed %d, case %d: %s = %d, %v are %d\n%s", seed, i, parts[0], row(parts[0]), parts[1:], sum, dst.Append(nil))
				}
			}
		}
		for _, name := range names {
			want, ok := shown.Get(name)
			switch name {
			case "MemUsed":
				want, ok = get(t, shown, "MemTotal")-get(t, shown, "MemFree"), true
			case "FilePages":
				want, ok = get(t, shown, "Cached"), true
			}
			if !ok || sums[name] != want {
				t.Fatalf("seed %d, case %d: Σ %s = %d, /proc/meminfo has %d\n%s", seed, i, name, sums[name], want, shown.Append(nil))
			}
		}
	}
}

// randomNodes are the host's nodes, with any numbers, and what a container uses of
// them, on nodes that may not be shown.
func randomNodes(tb testing.TB, rnd *rand.Rand, names []string) (hosts []HostNode, usage []limits.NodeMemory) {
	tb.Helper()
	id := 0
	for range 1 + rnd.IntN(10) {
		id += 1 + rnd.IntN(2)
		var rows []any
		for _, name := range names {
			rows = append(rows, name, rnd.Uint64N(1<<30))
		}
		rows[1] = 1 + rnd.Uint64N(1<<32)
		hosts = append(hosts, HostNode{ID: id, Meminfo: nodeRows(tb, id, rows...)})
		if rnd.IntN(3) > 0 {
			usage = append(usage, limits.NodeMemory{Node: id, Stat: randomStat(rnd, 1<<(10+rnd.IntN(34)))})
		}
		if rnd.IntN(6) == 0 {
			usage = append(usage, limits.NodeMemory{Node: 500 + id, Stat: randomStat(rnd, 1<<30)})
		}
	}
	return hosts, usage
}

func TestNodeMeminfoAllocatesNothingWarm(t *testing.T) {
	dst, hosts, shown, usage := benchmarkNodes(t)
	var split NodeSplit
	var buf []byte
	round := func() {
		split.MeminfoInto(dst, hosts, 1, shown, usage)
		buf = dst.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
}

func benchmarkNodes(tb testing.TB) (*procfile.NodeMeminfo, []HostNode, *procfile.Meminfo, []limits.NodeMemory) {
	tb.Helper()
	host, chain, huge := benchmarkInput(tb)
	var hosts []HostNode
	var usage []limits.NodeMemory
	for id := range 8 {
		text := strings.ReplaceAll(string(hostText(tb, "node-meminfo/synthetic-large-unknown.txt")), "Node 10", fmt.Sprintf("Node %d", id))
		m, err := procfile.ParseNodeMeminfo([]byte(text))
		if err != nil {
			tb.Fatal(err)
		}
		hosts = append(hosts, HostNode{ID: id, Meminfo: m})
		usage = append(usage, limits.NodeMemory{Node: id, Stat: chain[0].Stat})
	}
	return new(procfile.NodeMeminfo), hosts, Meminfo(host, ratio50(), chain, huge, Policy{}), usage
}

func BenchmarkNodeMeminfo(b *testing.B) {
	dst, hosts, shown, usage := benchmarkNodes(b)
	var split NodeSplit
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		split.MeminfoInto(dst, hosts, 1, shown, usage)
		buf = dst.Append(buf[:0])
	}
}

// The text of a node's lists and maps can be anything.
func FuzzNodeTexts(f *testing.F) {
	for _, text := range []string{"0-31\n", "ffffffff,00000000\n", "10 20\n", "10 20 30", "\n", "", "0-99999999", "3,,\x00"} {
		f.Add([]byte(text), uint16(1), uint16(40))
	}
	f.Fuzz(func(t *testing.T, text []byte, a, b uint16) {
		shown := cpulist.Of(int(a), int(b))
		if got := AppendCPUMap(nil, text, shown); len(got) != len(text) {
			t.Fatalf("cpumap %q became %q", text, got)
		}
		got := AppendNodeDistance(nil, text, cpulist.Range(0, 63), shown)
		if fields := len(strings.Fields(string(got))); fields > shown.Len() || !strings.HasSuffix(string(got), "\n") {
			t.Fatalf("distance %q became %q", text, got)
		}
	})
}
