// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestLimits gives a container every limit and reads the cgroup's files.
func TestLimits(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "limited",
		"--memory", "256m", "--memory-swap", "384m", "--memory-reservation", "128m",
		"--cpu-period", "50000", "--cpu-quota", "40000", "--cpu-shares", "512",
		"--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "77")
	if onV2(t) {
		limits(t, s.name, map[string]string{
			"memory/memory.max": "268435456", "?memory/memory.swap.max": "134217728", "memory/memory.low": "134217728",
			"cpu/cpu.max": "40000 50000", "cpu/cpu.weight": "59",
			"cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0", "pids/pids.max": "77",
		})
	} else {
		limits(t, s.name, map[string]string{
			"memory/memory.limit_in_bytes": "268435456", "?memory/memory.memsw.limit_in_bytes": "402653184",
			"memory/memory.soft_limit_in_bytes": "134217728",
			"cpu/cpu.cfs_quota_us":              "40000", "cpu/cpu.cfs_period_us": "50000", "cpu/cpu.shares": "512",
			"cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0", "pids/pids.max": "77",
		})
	}
	if got, want := s.views(t), (views{262144, "0", "0"}); got != want {
		t.Errorf("it sees %+v, want %+v", got, want)
	}
	// The limit on processes binds: busybox's shell ends when it can't fork.
	s.say(t, "for i in $(seq 80); do sleep 60 & done")
	if status := s.wait(t); status == 0 || !strings.Contains(s.errs.String(), "fork") {
		t.Errorf("80 processes with --pids-limit 77: status %d, stderr: %s", status, s.errs.String())
	}
}

// TestNoLimits: 0, and -1 where docker has it, are no limits.
func TestNoLimits(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "unlimited", "--memory", "0", "--memory-swap", "0", "--memory-reservation", "0", "--cpus", "0",
		"--cpu-period", "0", "--cpu-quota", "0", "--cpu-shares", "0", "--pids-limit", "0", "--blkio-weight", "0")
	second := p.shell(t, "minus-one", "--memory", "64m", "--memory-swap", "-1", "--cpu-quota", "-1", "--pids-limit", "-1")
	if onV2(t) {
		limits(t, s.name, map[string]string{
			"memory/memory.max": "max", "memory/memory.low": "0", "cpu/cpu.max": "max 100000", "cpu/cpu.weight": "100", "pids/pids.max": "max",
		})
		limits(t, second.name, map[string]string{
			"memory/memory.max": "67108864", "?memory/memory.swap.max": "max", "cpu/cpu.max": "max 100000", "pids/pids.max": "max",
		})
	} else {
		limits(t, s.name, map[string]string{
			"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.shares": "1024", "pids/pids.max": "max",
		})
		limits(t, second.name, map[string]string{
			"memory/memory.limit_in_bytes": "67108864", "?memory/memory.memsw.limit_in_bytes": "9223372036854771712",
			"cpu/cpu.cfs_quota_us": "-1", "pids/pids.max": "max",
		})
	}
	if got, want := s.views(t), host(t); got != want {
		t.Errorf("without limits it sees %+v, want the host's %+v", got, want)
	}
	if got := second.views(t); got.memTotal != 65536 || got.cpus != host(t).cpus {
		t.Errorf("with 64 MiB it sees %+v", got)
	}
	s.leave(t)
	second.leave(t)
}

// TestDeviceLimits throttles a disk.
func TestDeviceLimits(t *testing.T) {
	p := setup(t)
	disk := testenv.RequireDisk(t)
	s := p.shell(t, "throttled", "--device-read-bps", disk.Path+":1mb", "--device-write-bps", disk.Path+":2mb",
		"--device-read-iops", disk.Path+":100", "--device-write-iops", disk.Path+":200")
	if onV2(t) {
		limits(t, s.name, map[string]string{"io/io.max": disk.Number + " rbps=1048576 wbps=2097152 riops=100 wiops=200"})
	} else {
		limits(t, s.name, map[string]string{
			"blkio/blkio.throttle.read_bps_device":  disk.Number + " 1048576",
			"blkio/blkio.throttle.write_bps_device": disk.Number + " 2097152",
			"blkio/blkio.throttle.read_iops_device": disk.Number + " 100", "blkio/blkio.throttle.write_iops_device": disk.Number + " 200",
		})
	}
	s.leave(t)
}

// TestIOWeight sets a weight where the kernel has one, and is refused elsewhere.
func TestIOWeight(t *testing.T) {
	p := setup(t)
	controller := "blkio"
	if onV2(t) {
		controller = "io"
	}
	// Only below the root are there such files.
	s := p.shell(t, "weightless")
	have := ""
	for _, name := range []string{"blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight"} {
		if _, err := os.Stat(filepath.Join(containerCgroup(t, controller, s.name), name)); err == nil && have == "" {
			have = name
		}
	}
	s.leave(t)
	if have == "" {
		p.run(t, "--blkio-weight", "500", "--", "true").refused(t, 125, "--blkio-weight: 500", "no I/O weights")
		return
	}
	s = p.shell(t, "weighted", "--blkio-weight", "500")
	text := file(t, filepath.Join(containerCgroup(t, controller, s.name), have))
	s.leave(t)
	want := "500"
	if have == "io.weight" {
		want = "4950" // of its 1 to 10000, as 500 is of 10 to 1000
	}
	if got := fields(text); got[len(got)-1] != want {
		t.Errorf("%s is %q, want %s", have, text, want)
	}
}

// TestViews reads what containers see of limits of each kind.
func TestViews(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	all := host(t)
	for _, c := range []struct {
		name  string
		flags []string
		want  views
	}{
		{"memory", []string{"--memory", "256m"}, views{262144, all.cpus, all.online}},
		{"memory of a whole host", []string{"-m", "1000000g"}, all},
		{"one CPU", []string{"--cpus", "1"}, views{all.memTotal, "0", "0"}},
		{"half a CPU", []string{"--cpus", ".5"}, views{all.memTotal, "0", "0"}},
		{"one and a half CPUs", []string{"--cpus", "1.5"}, views{all.memTotal, "0 1", "0-1"}},
		{"a quota alone", []string{"--cpu-quota", "100001"}, views{all.memTotal, "0 1", "0-1"}},
		{"a period alone", []string{"--cpu-period", "200000"}, all},
		{"quota and period", []string{"--cpu-quota", "30000", "--cpu-period", "20000"}, views{all.memTotal, "0 1", "0-1"}},
		{"a cpuset", []string{"--cpuset-cpus", "1"}, views{all.memTotal, "1", "1"}},
		{"a cpuset and less than it", []string{"--cpuset-cpus", "0-1", "--cpus", "1"}, views{all.memTotal, "0", "0"}},
		{"both", []string{"-m", "6m", "--cpuset-cpus", "1", "--cpus", "2"}, views{6144, "1", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseViews(t, p.sh(t, viewScript, c.flags...).text(t)); got != c.want {
				t.Errorf("%v: it sees %+v, want %+v", c.flags, got, c.want)
			}
		})
	}
}

// TestViewsFollow changes a running container's limits.
func TestViewsFollow(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	s := p.shell(t, "changed", "--memory", "256m", "--memory-swap", "-1", "--cpus", "1", "--cpuset-cpus", "0-1")
	follow := func(what string, want views) {
		t.Helper()
		until(t, time.Second, what, func() bool { return s.views(t) == want })
	}
	follow("as started", views{262144, "0", "0"})
	memoryLimit.set(t, s.name, "134217728")
	follow("half the memory", views{131072, "0", "0"})
	cpuQuota.set(t, s.name, "150000")
	follow("half a CPU more", views{131072, "0 1", "0-1"})
	cpusetCPUs.set(t, s.name, "1")
	follow("CPU 1 alone", views{131072, "1", "1"})
	memoryLimit.set(t, s.name, unlimited(t))
	follow("all memory", views{host(t).memTotal, "1", "1"})
	s.leave(t)
}
