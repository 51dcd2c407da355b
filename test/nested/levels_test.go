// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// stale is how long bound files may show what was before: live ones, and static
// ones where the kernel's timer has 100 or more ticks in a second.
const (
	staleLive   = 10 * time.Millisecond
	staleStatic = 40 * time.Millisecond
)

// TestLevels has limits at three levels; the smallest binds, whichever has it,
// and whoever uses up what the container has left.
//
//	/
//	└─ top              memory, CPUs
//	   └─ middle        memory, CPUs
//	      ├─ leaf       memory, CPUs; the container
//	      └─ sibling    holds memory
func TestLevels(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	s := serve(t)
	top := served.NewCgroup(t, "top")
	middle := top.Child("middle")
	leaf, sibling := middle.Child("leaf"), middle.Child("sibling")
	b, beside := newBox(t, "leaf", place{cgroup: leaf}), newBox(t, "sibling", place{cgroup: sibling})
	s.mount(t, b)
	levels := []*served.Cgroup{top, middle, leaf}

	limits := []int64{100, 140, 180} // MiB
	orders := [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, order := range orders {
		for i, level := range levels {
			level.SetMemory(limits[order[i]] * mib)
		}
		time.Sleep(staleLive)
		for _, path := range []string{"/proc/meminfo", s.shared + "/proc/meminfo"} {
			wantTotal(t, fmt.Sprintf("with order %v, %s", order, path), b.read(t, path), limits[0]*mib)
		}
	}

	quotas := []float64{1, 1.5, 2} // rounded up: one CPU or two
	for _, order := range orders {
		setQuotas(t, levels, quotas, order)
		wantCPUs(t, s, b, fmt.Sprintf("quotas in order %v", order), "0")
	}
	for _, level := range levels {
		level.SetCPUs(2)
	}
	wantCPUs(t, s, b, "two CPUs at each level", "0-1")
	// The effective set counts: what the leaf was given and doesn't have isn't shown.
	if !onV2(t) {
		leaf.SetCPUSet("1") // v1 refuses a level less than those below it have
		sibling.SetCPUSet("1")
	}
	middle.SetCPUSet("1")
	wantCPUs(t, s, b, "the middle's cpuset is 1", "1")

	// The sibling's memory counts where the limit is common to both.
	top.SetMemory(200 * mib)
	middle.SetMemory(120 * mib)
	leaf.SetMemory(100 * mib)
	hold(t, beside, sibling, 60)
	time.Sleep(staleLive)
	checkFree(t, b, "the sibling holds 60 MiB of the middle's 120", levels, []int64{200 * mib, 120 * mib, 100 * mib})
	middle.SetMemory(200 * mib)
	time.Sleep(staleLive)
	checkFree(t, b, "the middle has enough for both", levels, []int64{200 * mib, 200 * mib, 100 * mib})
}

// setQuotas gives level i the quota order[i]. Version 1 refuses more than a level
// above has: there it gets that.
func setQuotas(t *testing.T, levels []*served.Cgroup, quotas []float64, order [3]int) {
	t.Helper()
	least := quotas[len(quotas)-1]
	var wanted []float64
	for i, level := range levels {
		level.SetCPUs(least)
		quota := quotas[order[i]]
		if !onV2(t) && i > 0 {
			quota = min(quota, wanted[i-1])
		}
		wanted = append(wanted, quota)
	}
	for i, level := range slices.Backward(levels) {
		level.SetCPUs(wanted[i])
	}
}

// wantCPUs checks which CPUs a box is shown, of which no list has a hole here.
func wantCPUs(t *testing.T, s server, b *box, when, list string) {
	t.Helper()
	time.Sleep(staleStatic)
	first, last, _ := strings.Cut(list, "-")
	count := 1
	if last != "" {
		count = int(number(t, last)-number(t, first)) + 1
	}
	for _, root := range []string{"", s.shared} {
		if got := strings.Count("\n"+b.read(t, root+"/proc/cpuinfo"), "\nprocessor"); got != count {
			t.Errorf("%s: %s/proc/cpuinfo has %d CPUs, want %d", when, root, got, count)
		}
		if got := b.read(t, root+"/sys/devices/system/cpu/online"); got != list+"\n" {
			t.Errorf("%s: %s/sys/devices/system/cpu/online is %q, want %q", when, root, got, list)
		}
	}
}

// checkFree compares a box's MemFree with the least that a level has left, as the
// kernel's own files have it before and after the reading.
func checkFree(t *testing.T, b *box, when string, levels []*served.Cgroup, limits []int64) {
	t.Helper()
	left := func() int64 {
		least := limits[0]
		for i, level := range levels {
			least = min(least, limits[i]-memoryUsage(t, level))
		}
		return least
	}
	before := left()
	got := memory(t, b.read(t, "/proc/meminfo"), "MemFree")
	after := left()
	// The script that reads is the container's, too.
	const slack = 2 * mib
	if got < min(before, after)-slack || got > max(before, after)+slack {
		t.Errorf("%s: MemFree is %d KiB; by the cgroups' files %d before and %d KiB after", when, got>>10, before>>10, after>>10)
	}
}

// hold lets a process of b's cgroup use memory on a tmpfs, of which the test
// frees it.
func hold(t *testing.T, b *box, cg *served.Cgroup, megabytes int) {
	t.Helper()
	path := filepath.Join("/dev/shm", "procfs-shim-nested-"+b.name+"-"+fmt.Sprint(os.Getpid()))
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
	before := memoryUsage(t, cg)
	b.ask(t, joined(cg, fmt.Sprintf("exec dd if=/dev/zero of=%s bs=1M count=%d 2>/dev/null", path, megabytes)))
	if used := memoryUsage(t, cg) - before; used < int64(megabytes-1)*mib {
		t.Fatalf("%s uses %d KiB more after it wrote %d MiB to %s", cg.Path, used>>10, megabytes, path)
	}
}

// TestSystemd is a container that runs systemd: its processes are in a tree of
// cgroups below the container's, with limits of their own, which aren't those of
// the container.
//
//	/
//	└─ c                                       100 MiB, 1 CPU
//	   ├─ init.scope                           50 MiB, PID 1
//	   ├─ system.slice                         80 MiB
//	   │  ├─ holder.service                    40 MiB, holds 20 MiB, burns a CPU
//	   │  └─ reader.service                    30 MiB
//	   └─ user.slice/user-0.slice/session.scope
func TestSystemd(t *testing.T) {
	s := serve(t)
	c := served.NewCgroup(t, "systemd")
	scope, system, user := c.Child("init.scope"), c.Child("system.slice"), c.Child("user.slice")
	holder, reader := system.Child("holder.service"), system.Child("reader.service")
	session := user.Child("user-0.slice").Child("session.scope")
	c.SetMemory(100 * mib)
	c.SetCPUs(1)
	for cg, limit := range map[*served.Cgroup]int64{scope: 50, system: 80, holder: 40, reader: 30} {
		cg.SetMemory(limit * mib)
	}
	b := newBox(t, "systemd", place{cgroup: scope})
	s.mount(t, b)
	hold(t, b, holder, 20)
	used := cpuUsage(t, c)
	b.burn(t, holder)
	until(t, "the service has used 300 ms", func() bool { return cpuUsage(t, c) > used+300*time.Millisecond })

	for _, root := range []string{"", s.shared} {
		for who, cg := range map[string]*served.Cgroup{"PID 1": scope, "a service": reader, "another service": holder, "a session": session} {
			text := b.ask(t, joined(cg, "cat "+root+"/proc/meminfo"))
			wantTotal(t, who+" in "+root+"/proc/meminfo", text, 100*mib)
			if shmem := memory(t, text, "Shmem"); shmem < 20*mib {
				t.Errorf("%s in %s/proc/meminfo: Shmem is %d KiB, while a service holds 20 MiB", who, root, shmem>>10)
			}
			if got := b.ask(t, joined(cg, "cat "+root+"/sys/devices/system/cpu/online")); got != "0\n" {
				t.Errorf("%s is shown CPUs %q", who, got)
			}
		}
		if got := busy(t, b.read(t, root+"/proc/stat")); got < 250*time.Millisecond {
			t.Errorf("%s/proc/stat shows %v of busy time, a service has used 300 ms", root, got)
		}
		until(t, "the service's burner is in "+root+"/proc/loadavg", func() bool {
			l := loadOf(t, b.read(t, root+"/proc/loadavg"))
			return l.running >= 1 && l.all >= 2
		})
	}
	checkFree(t, b, "a service holds 20 MiB", []*served.Cgroup{c}, []int64{100 * mib})

	// `docker exec` brings a process into the container's own cgroup or, on v2, that
	// of its init process; what comes from elsewhere has brought its own.
	enter := func(cg *served.Cgroup) string {
		t.Helper()
		script := joined(cg, fmt.Sprintf("exec nsenter --target %d --pid --mount cat %s/proc/meminfo", b.pid, s.shared))
		text, err := exec.Command("sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, text)
		}
		return string(text)
	}
	other := served.NewCgroup(t, "other")
	other.SetMemory(70 * mib)
	wantTotal(t, "an entrant in init's cgroup", enter(scope), 100*mib)
	wantTotal(t, "an entrant that has brought its cgroup", enter(other), 70*mib)
	t.Run("an entrant in a service's cgroup", func(t *testing.T) {
		testenv.RequireKernel(t, 6, 11, "finding an entrant's init process")
		wantTotal(t, "it", enter(reader), 100*mib)
	})
}
