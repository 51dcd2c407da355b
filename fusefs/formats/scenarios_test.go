// SPDX-License-Identifier: Apache-2.0

package formats_test

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A scenario is a captured host with something more in it, and a policy.
type scenario struct {
	name, host string
	setup      func(*rig)
	policy     view.Policy
	only       []string // parts of the paths of files that are rendered; nil: all
}

func scenarios() []scenario {
	const v1, v2, numa = "debian12-v1", "debian12-v2", "debian12-v2-64cpu"
	cpus := []string{"proc/cpuinfo", "proc/stat", "proc/uptime", "system/cpu/", "node0/cpu"}
	memory := []string{"meminfo", "swaps"}
	counters := []string{"proc/stat", "vmstat", "numastat"}
	return []scenario{
		{name: "hybrid", host: "debian12-hybrid", setup: full},
		{name: "v1", host: v1, setup: full},
		{name: "v2", host: v2, setup: full},
		{name: "two nodes", host: numa, setup: full},
		{name: "arm64", host: "debian12-v2-arm64", setup: full},
		{name: "a parent's quota", host: v2, setup: parentQuota, only: cpus},
		{name: "a parent's quota on v1", host: v1, setup: parentQuota, only: cpus},
		{name: "over its limit", host: numa, setup: overLimit, only: memory},
		{name: "over its limit on v1", host: v1, setup: overLimit, only: memory},
		{name: "without hugetlb", host: numa, setup: withoutHugetlb, only: memory},
		{name: "an old kernel", host: v1, setup: oldKernel},
		{name: "s390", host: v2, setup: s390, only: cpus},
		{name: "host counters", host: v2, setup: full, policy: view.Policy{HostCounters: true}, only: counters},
		{name: "host counters that the cgroup doesn't have", host: v2, setup: withoutEvents, policy: view.Policy{HostCounters: true}, only: counters},
		{name: "memory.high and no swap", host: v2, setup: full, policy: view.Policy{MemoryHigh: true, Swap: view.SwapNone}, only: memory},
		{name: "contiguous", host: v2, setup: full, policy: view.Policy{Numbering: view.NumberingContiguous}, only: cpus},
		{name: "cpuset", host: v2, setup: full, policy: view.Policy{CPUView: view.CPUViewCPUSet}, only: cpus},
		{name: "the host's CPUs", host: v2, setup: full, policy: view.Policy{CPUView: view.CPUViewHost}, only: cpus},
		{
			name: "the host's uptime and load", host: v2, setup: full, policy: view.Policy{Uptime: view.WhoseHost, Loadavg: view.WhoseHost},
			only: []string{"uptime", "loadavg"},
		},
	}
}

const miB = 1 << 20

// full gives a captured host what it lacks, so that every number has something to
// move: pressure, slabs, swap in use, huge pages, a quota that refuses, I/O.
func full(r *rig) {
	h := r.host
	fullHost(h)
	edit(r, "proc/meminfo", map[string]string{
		"SwapTotal": "1048572 kB", "SwapFree": "900000 kB", "HugePages_Total": "16", "HugePages_Free": "14", "HugePages_Rsvd": "4", "HugePages_Surp": "1",
		"Hugetlb": "40960 kB",
	})
	writeIf(r, "/container", "cpu.cfs_quota_us", "150000\n")
	writeIf(r, "/container", "cpu.cfs_period_us", "100000\n")
	writeIf(r, "/container", "cpu.max", "150000 100000\n")
	for level, times := range map[string]uint64{"": 2, "/container": 1} {
		fullMemory(r, level, times)
		eachCgroupFile(r, level, "cpu.stat", func(name string) {
			h.Write(name, grow(h.Read(name), usage(2_000_000)))
			r.between[name] = grow(h.Read(name), usage(5_000_000))
		})
	}
	for name, text := range map[string]string{
		"cpuset.cpus.effective": "0-1", "cpuset.effective_cpus": "0-1", "cpuset.mems.effective": "0-1", "cpuset.effective_mems": "0",
		"memory.kmem.slabinfo": slabHeadings + "dentry   21 21  192",
	} {
		writeIf(r, "/container", name, text+"\n")
	}
	eachCgroupFile(r, "/container", "cpu.pressure", func(name string) {
		for _, resource := range []string{"cpu", "memory", "io"} {
			h.Write(path.Join(path.Dir(name), resource+".pressure"), some+fullLine)
		}
		h.Write(path.Join(path.Dir(name), "irq.pressure"), fullLine)
	})
	fullIO(r)
	eachCgroupFile(r, "/container", "cpuacct.usage_percpu", func(name string) {
		more := strings.Repeat(" 0", max(0, len(strings.Fields(h.Read(name)))-2)) + " \n"
		h.Write(name, "1200000000 800000000"+more)
		r.between[name] = "4200000000 2800000000" + more
	})
	eachCgroupFile(r, "/container", "cpuacct.stat", func(name string) {
		h.Write(name, "user 120\nsystem 80\n")
		r.between[name] = "user 420\nsystem 280\n"
	})
	for name, text := range r.tasks("R") {
		h.Write(name, text)
	}
}

// usage is what cpu.stat grows by when the container runs for so many µs, and its
// quota refuses it half as much.
func usage(us uint64) map[string]uint64 {
	return map[string]uint64{
		"usage_usec": us, "user_usec": us * 3 / 5, "system_usec": us * 2 / 5, "throttled_usec": us / 2, "throttled_time": us / 2 * 1000,
	}
}

const (
	some         = "some avg10=1.20 avg60=0.50 avg300=3.00 total=3775966947 later=5\n"
	fullLine     = "full avg10=0.10 avg60=0.10 avg300=0.20 total=7 later=5\n"
	slabHeadings = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize>\n"
)

// fullHost writes what wasn't captured.
func fullHost(h *fixture.Host) {
	for _, resource := range []string{"cpu", "memory", "io"} {
		h.Write("proc/pressure/"+resource, some+fullLine)
	}
	h.Write("proc/pressure/irq", fullLine)
	h.Write("proc/slabinfo", slabHeadings+"dentry             10080  10080    192\nsecret  1 1 1\n")
	h.Write("sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n")
	h.Write("sys/devices/system/node/has_normal_memory", h.Read("sys/devices/system/node/online"))
	vmstat := h.Read("proc/vmstat")
	for _, label := range view.VmstatLabels() {
		if !strings.Contains("\n"+vmstat, "\n"+label+" ") {
			vmstat += label + " 0\n"
		}
	}
	h.Write("proc/vmstat", vmstat)
	if meminfo := h.Read("proc/meminfo"); !strings.Contains(meminfo, "\nZswap:") {
		const after = "\nDirty:"
		h.Write("proc/meminfo", strings.Replace(meminfo, after, "\nZswap:                 0 kB\nZswapped:              0 kB"+after, 1))
	}
}

// inMiB is what memory.stat says, in MiB: v2's key, v1's, the amount.
func inMiB() []struct {
	key, v1 string
	amount  uint64
} {
	return []struct {
		key, v1 string
		amount  uint64
	}{
		{"anon", "rss", 20},
		{"file", "cache", 24},
		{"shmem", "shmem", 6},
		{"file_mapped", "mapped_file", 3},
		{"file_dirty", "dirty", 2},
		{"file_writeback", "writeback", 1},
		{"anon_thp", "rss_huge", 4},
		{"file_thp", "", 4},
		{"shmem_thp", "", 2},
		{"swapcached", "swapcached", 1},
		{"inactive_anon", "inactive_anon", 15},
		{"active_anon", "active_anon", 10},
		{"inactive_file", "inactive_file", 11},
		{"active_file", "active_file", 7},
		{"unevictable", "unevictable", 1},
		{"slab_reclaimable", "", 3},
		{"slab_unreclaimable", "", 2},
		{"kernel_stack", "", 1},
		{"pagetables", "", 1},
		{"sec_pagetables", "", 1},
		{"percpu", "", 1},
		{"vmalloc", "", 1},
		{"zswap", "", 1},
		{"zswapped", "", 2},
		{"hugetlb", "", 4},
		{"", "swap", 64},
	}
}

// fullMemory writes a level's files of the memory and the hugetlb controller, with
// so many times the memory.
func fullMemory(r *rig, level string, times uint64) {
	writeIf(r, level, "memory.current", fmt.Sprintln(60*miB*times))
	writeIf(r, level, "memory.usage_in_bytes", fmt.Sprintln(60*miB*times))
	writeIf(r, level, "memory.swap.max", fmt.Sprintln(256*miB))
	writeIf(r, level, "memory.swap.current", fmt.Sprintln(64*miB))
	writeIf(r, level, "memory.high", fmt.Sprintln(200*miB))
	writeIf(r, level, "memory.memsw.limit_in_bytes", fmt.Sprintln(700*miB))
	for _, v := range []struct{ limit, usage string }{{"max", "current"}, {"limit_in_bytes", "usage_in_bytes"}} {
		writeIf(r, level, "hugetlb.2MB."+v.limit, fmt.Sprintln(20*miB))
		writeIf(r, level, "hugetlb.2MB."+v.usage, fmt.Sprintln(4*miB))
		writeIf(r, level, "hugetlb.2MB.rsvd."+v.usage, fmt.Sprintln(8*miB))
	}
	var v2, v1, numa, numaV1 strings.Builder
	for _, k := range inMiB() {
		amount := k.amount * miB * times
		fmt.Fprintf(&v1, "total_%s %d\n", k.v1, amount)
		if k.key == "" {
			continue
		}
		fmt.Fprintf(&v2, "%s %d\n", k.key, amount)
		fmt.Fprintf(&numa, "%s N0=%d N1=%d\n", k.key, amount/4, amount/4*3)
		if k.key == "anon" || k.key == "file" || k.key == "unevictable" {
			fmt.Fprintf(&numaV1, "hierarchical_%s=%d N0=%d\n", k.key, amount/4096, amount/4096)
		}
	}
	for i, label := range view.VmstatLabels() {
		if key, keyV1, _ := view.VmstatKey(label); view.VmstatUnit(label) == "" && key != "oom_kill" {
			fmt.Fprintf(&v2, "%s %d\n", key, 100+i)
			if keyV1 != "" {
				fmt.Fprintf(&v1, "total_%s %d\n", keyV1, 100+i)
			}
		}
	}
	eachCgroupFile(r, level, "memory.stat", func(name string) {
		if strings.Contains(r.host.Read(name), "total_rss") {
			r.host.Write(name, v1.String())
			writeIf(r, level, "memory.numa_stat", numaV1.String())
		} else {
			r.host.Write(name, v2.String())
			writeIf(r, level, "memory.numa_stat", numa.String())
		}
	})
}

// fullIO writes I/O on the host's last device, and one request on its first.
func fullIO(r *rig) {
	var ids []string
	for line := range strings.Lines(r.host.Read("proc/diskstats")) {
		device := strings.Fields(line)
		ids = append(ids, device[0]+":"+device[1])
	}
	one, many := ids[0], ids[len(ids)-1]
	if one == many {
		r.t.Fatal("a host with one device")
	}
	writeIf(r, "/container", "io.stat", many+" rbytes=4096 wbytes=8192 rios=2 wios=3 dbytes=512 dios=1\n"+one+" rbytes=0 wbytes=0 rios=1\n")
	for _, name := range []string{"io_serviced", "io_service_bytes", "io_serviced_recursive", "io_service_bytes_recursive"} {
		text := many + " Read 4096\n" + many + " Write 8192\n" + many + " Sync 0\n" + many + " Discard 1024\n" + many + " Total 9\n"
		if strings.HasPrefix(name, "io_serviced") {
			text += one + " Read 1\n"
		}
		writeIf(r, "/container", "blkio.throttle."+name, text+"Total 9\n")
	}
}

// parentQuota is full with a parent whose quota is tighter than the container's.
func parentQuota(r *rig) {
	full(r)
	writeIf(r, "", "cpu.cfs_quota_us", "120000\n")
	writeIf(r, "", "cpu.cfs_period_us", "100000\n")
	writeIf(r, "", "cpu.max", "120000 100000\n")
}

// overLimit is full with a limit below what is used, so that all is cut down.
func overLimit(r *rig) {
	full(r)
	writeIf(r, "/container", "memory.max", fmt.Sprintln(30*miB))
	writeIf(r, "/container", "memory.limit_in_bytes", fmt.Sprintln(30*miB))
	writeIf(r, "/container", "memory.high", "max\n")
}

// withoutHugetlb is full with that controller off, and nodes that don't tell where
// huge pages are.
func withoutHugetlb(r *rig) {
	full(r)
	for _, level := range []string{"", "/container"} {
		writeIf(r, level, "cgroup.controllers", "cpuset cpu io memory pids\n")
	}
	for _, node := range []string{"node0", "node1"} {
		edit(r, nodes+node+"/meminfo", map[string]string{"HugePages_Total": "0", "HugePages_Free": "0"})
	}
	edit(r, nodes+"node0/meminfo", map[string]string{"HugePages_Surp": "1"})
}

const nodes = "sys/devices/system/node/"

// oldKernel is full without what newer kernels brought.
func oldKernel(r *rig) {
	full(r)
	for _, name := range []string{"io_serviced_recursive", "io_service_bytes_recursive"} {
		eachCgroupFile(r, "/container", "blkio.throttle."+name, r.host.Remove)
	}
	eachCgroupFile(r, "/container", "cpuacct.usage_percpu", func(name string) {
		r.host.Remove(name)
		delete(r.between, name)
		usage := path.Join(path.Dir(name), "cpuacct.usage")
		r.host.Write(usage, "2000000000\n")
		r.between[usage] = "7000000000\n"
	})
	var meminfo strings.Builder
	for line := range strings.Lines(r.host.Read("proc/meminfo")) {
		if !strings.HasPrefix(line, "MemAvailable:") && !strings.HasPrefix(line, "Hugetlb:") {
			meminfo.WriteString(line)
		}
	}
	r.host.Write("proc/meminfo", meminfo.String())
}

// withoutEvents is full with a memory.stat of amounts alone.
func withoutEvents(r *rig) {
	full(r)
	eachCgroupFile(r, "/container", "memory.stat", func(name string) {
		text, _, _ := strings.Cut(r.host.Read(name), "hugetlb ")
		r.host.Write(name, text)
	})
	eachCgroupFile(r, "/container", "memory.events", r.host.Remove)
}

// s390 is full with four CPUs of that architecture.
func s390(r *rig) {
	full(r)
	text := "vendor_id       : IBM/S390\n# processors    : 4\n"
	for cpu := range 4 {
		text += fmt.Sprintf("processor %d: version = FF,  identification = 1\n", cpu)
	}
	for cpu := range 4 {
		text += fmt.Sprintf("\ncpu number      : %d\nphysical id     : 0\ncore id         : %d\nbook id         : 0\ndrawer id       : 0\nsiblings        : 4\ncpu cores       : 2\n", cpu, cpu%2)
	}
	r.host.Write("proc/cpuinfo", text)
	r.host.Write("sys/devices/system/cpu/online", "0-3\n")
	r.host.Write("sys/devices/system/cpu/possible", "0-3\n")
}

// eachCgroupFile calls do with the paths of a level's files of this name, in the
// hierarchies that have one.
func eachCgroupFile(r *rig, level, name string, do func(path string)) {
	entries, err := os.ReadDir(r.host.Path("sys/fs/cgroup"))
	if err != nil {
		r.t.Fatal(err)
	}
	dirs := []string{""}
	for _, e := range entries {
		dirs = append(dirs, e.Name())
	}
	for _, dir := range dirs {
		at := path.Join("sys/fs/cgroup", dir, fixture.Base, level, name)
		if _, err := os.Stat(r.host.Path(at)); err == nil {
			do(at)
		}
	}
}

// writeIf writes the files of a level that have this name.
func writeIf(r *rig, level, name, text string) {
	eachCgroupFile(r, level, name, func(path string) { r.host.Write(path, text) })
}

// edit gives fields of a file other values; those that it doesn't have are left out.
func edit(r *rig, name string, values map[string]string) {
	text := r.host.Read(name)
	for field, value := range values {
		file, _ := place(name)
		for _, f := range formats.Split(file, text) {
			if f.Name == field {
				text = replace(file, text, f, value)
			}
		}
	}
	r.host.Write(name, text)
}

// grow adds to numbers of "key number" lines.
func grow(text string, by map[string]uint64) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		var key string
		var n uint64
		if _, err := fmt.Sscan(line, &key, &n); err == nil {
			line = fmt.Sprintf("%s %d\n", key, n+by[key])
		}
		b.WriteString(line)
	}
	return b.String()
}

// tasks are the files of tasks of the container in these states.
func (r *rig) tasks(states string) map[string]string {
	files := map[string]string{}
	var tids strings.Builder
	for i, state := range states {
		tid := 2000 + i
		fmt.Fprintf(&tids, "%d\n", tid)
		files[fmt.Sprintf("proc/%d/status", tid)] = fmt.Sprintf("Name:\tx\nState:\t%c (x)\nNSpid:\t%d\t%d\n", state, tid, 40+i)
		files[fmt.Sprintf("proc/%d/cgroup", tid)] = r.host.Read(fmt.Sprintf("proc/%d/cgroup", fixture.ContainerPID))
	}
	eachCgroupFile(r, "/container", "cgroup.procs", func(name string) {
		for _, file := range []string{"tasks", "cgroup.threads"} {
			files[path.Join(path.Dir(name), file)] = tids.String()
		}
	})
	return files
}
