// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// TestCapturedTables makes vmstat, diskstats and the node files of every captured
// host's container (TestCapturedHosts draws it) and compares them whole.
func TestCapturedTables(t *testing.T) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) {
			host, container := captured(t, name)
			reader := container.Reader(nil)
			memory := must(reader.Memory())(t)
			huge := must(reader.Hugetlb())(t)
			counters := must(reader.MemoryCounters(nil))(t)
			usage := must(reader.NodeMemory(nil))(t)
			devices, _, err := reader.IO(nil)
			if err != nil {
				t.Fatal(err)
			}
			shown := Meminfo(must(procfile.ParseMeminfo([]byte(host.Read("proc/meminfo"))))(t), ratio50(), memory, huge, Policy{})

			var disks procfile.Diskstats
			DiskstatsInto(&disks, must(procfile.ParseDiskstats([]byte(host.Read("proc/diskstats"))))(t), devices)
			golden(t, name+"-diskstats.txt", disks.Append(nil))

			var vmstat procfile.Vmstat
			in := VmstatInput{Counters: counters, IO: devices, MemFree: get(t, shown, "MemFree"), Page: page}
			VmstatInto(&vmstat, must(procfile.ParseVmstat([]byte(host.Read("proc/vmstat"))))(t), &in, Policy{})
			golden(t, name+"-vmstat.txt", vmstat.Append(nil))
			expectPages(t, shown, &vmstat, "MemFree", "nr_free_pages", "AnonPages", "nr_anon_pages", "Cached", "nr_file_pages",
				"Shmem", "nr_shmem", "Inactive(anon)", "nr_inactive_anon", "Active(file)", "nr_zone_active_file", "PageTables", "nr_page_table_pages")

			mems, limited, err := reader.Mems()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+"-node.txt", nodeFiles(t, host, mems, limited, shown, func(dst *procfile.NodeMeminfo, nodes []HostNode, at int) {
				new(NodeSplit).MeminfoInto(dst, nodes, at, shown, usage)
			}))
		})
	}
}

// nodeFiles makes all files below sys/devices/system/node, one after the other, for
// a container that sees the last CPU of each node.
func nodeFiles(
	t *testing.T, host *fixture.Host, mems cpulist.Set, limited bool, shown *procfile.Meminfo,
	meminfo func(*procfile.NodeMeminfo, []HostNode, int),
) []byte {
	t.Helper()
	const dir = "sys/devices/system/node/"
	read := func(name string) []byte { return []byte(host.Read(dir + name)) }
	online := list(t, host.Read(dir+"online"))
	nodes := ShownNodes(online, mems, limited)
	var hosts []HostNode
	var visible cpulist.Set
	for _, id := range nodes.IDs() {
		node := fmt.Sprintf("node%d/", id)
		cpus := list(t, string(read(node+"cpulist")))
		visible = visible.Union(cpulist.Of(cpus.Max()))
		hosts = append(hosts, HostNode{ID: id, CPUs: cpus, Meminfo: must(procfile.ParseNodeMeminfo(read(node + "meminfo")))(t)})
	}
	var text bytes.Buffer
	file := func(name string, content []byte) { fmt.Fprintf(&text, "-- %s --\n%s", name, content) }
	file("has_cpu", append(NodesWithCPUs(hosts, visible).Append(nil), '\n'))
	sums := make(map[string]uint64)
	for at := range hosts {
		node := fmt.Sprintf("node%d/", hosts[at].ID)
		var m procfile.NodeMeminfo
		meminfo(&m, hosts, at)
		for i := range m.Len() {
			sums[m.Name(i)] += m.Value(i)
		}
		file(node+"meminfo", m.Append(nil))
		file(node+"cpumap", AppendCPUMap(nil, read(node+"cpumap"), visible))
		file(node+"distance", AppendNodeDistance(nil, read(node+"distance"), online, nodes))
		var numastat procfile.Numastat
		NumastatInto(&numastat, must(procfile.ParseNumastat(read(node+"numastat")))(t), Policy{})
		file(node+"numastat", numastat.Append(nil))
	}
	for name, sum := range sums {
		if whole, ok := shown.Get(name); ok && sum != whole {
			t.Errorf("Σ %s = %d, /proc/meminfo has %d", name, sum, whole)
		}
	}
	return text.Bytes()
}

// expectPages compares rows of meminfo and vmstat; names come in turn.
func expectPages(t *testing.T, shown *procfile.Meminfo, vmstat *procfile.Vmstat, names ...string) {
	t.Helper()
	for i := 0; i < len(names); i += 2 {
		pages, _ := vmstat.Get(names[i+1])
		if want := get(t, shown, names[i]) / page; pages != want {
			t.Errorf("%s = %d, by %s it is %d", names[i+1], pages, names[i], want)
		}
	}
}

// must returns a value that came without an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// The host's own files, of whatever machine runs this.
func TestOwnNode(t *testing.T) {
	text, err := os.ReadFile("/sys/devices/system/node/node0/meminfo")
	if err != nil {
		return // a kernel without NUMA has no such directory
	}
	own := must(os.ReadFile("/proc/meminfo"))(t)
	shown := Meminfo(must(procfile.ParseMeminfo(own))(t), ratio50(), limits.MemoryChain{level(64*miB, 8*miB, limits.MemoryStat{Anon: 4 * miB})}, nil, Policy{})
	var dst procfile.NodeMeminfo
	new(NodeSplit).MeminfoInto(&dst, []HostNode{{Meminfo: must(procfile.ParseNodeMeminfo(text))(t)}}, 0, shown, nil)
	for i := range dst.Len() {
		if want, ok := shown.Get(dst.Name(i)); ok && dst.Value(i) != want {
			t.Errorf("%s = %d, /proc/meminfo has %d", dst.Name(i), dst.Value(i), want)
		}
	}
}
