// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strconv"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// TestCapturedHosts makes the files of the container that every captured host
// has (test/fixture/capture.sh draws its cgroups) and compares them whole:
//
//	/procfs-shim-fixture   512 MiB, 768 MiB with swap, 1.5 CPUs
//	├─ container           256 MiB, last CPU only
//	└─ sibling             uses 16 MiB of its parent's
func TestCapturedHosts(t *testing.T) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) {
			host, container := captured(t, name)
			memory, err := container.Memory()
			if err != nil {
				t.Fatal(err)
			}
			huge, err := container.Hugetlb()
			if err != nil {
				t.Fatal(err)
			}
			cpu, err := container.CPU()
			if err != nil {
				t.Fatal(err)
			}

			meminfo, err := procfile.ParseMeminfo([]byte(host.Read("proc/meminfo")))
			if err != nil {
				t.Fatal(err)
			}
			oc := Overcommit{Ratio: number(t, host, "proc/sys/vm/overcommit_ratio"), KBytes: number(t, host, "proc/sys/vm/overcommit_kbytes")}
			shown := Meminfo(meminfo, oc, memory, huge, Policy{})
			golden(t, name+"-meminfo.txt", shown.Append(nil))
			expect(t, shown, "MemTotal", 256*miB)
			if free := get(t, shown, "MemFree"); free == 0 || free > 256*miB-4*miB { // 4 MiB of shmem are in use
				t.Errorf("MemFree = %d", free)
			}

			info, err := procfile.ParseCPUInfo([]byte(host.Read("proc/cpuinfo")))
			if err != nil {
				t.Fatal(err)
			}
			online, err := cpulist.Parse(host.Read("sys/devices/system/cpu/online"))
			if err != nil {
				t.Fatal(err)
			}
			visible := VisibleCPUs(online, cpu, Policy{})
			if want := cpulist.Of(online.Max()); !visible.Equal(want) {
				t.Errorf("visible CPUs %s, want %s", visible, want)
			}
			golden(t, name+"-cpuinfo.txt", CPUInfo(info, visible, Policy{}).Append(nil))
		})
	}
}

// captured returns a host and its container's cgroup.
func captured(t *testing.T, name string) (*fixture.Host, *cgroupread.Cgroup) {
	t.Helper()
	host := fixture.Load(t, name)
	layout, err := cgroupread.Detect(host.Proc)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := layout.OfProcess(host.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	container, err := layout.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := container.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, container
}

func number(t *testing.T, host *fixture.Host, name string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSpace(host.Read(name)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
