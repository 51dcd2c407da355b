// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

// TestContainerInContainer is an engine in a container: PID namespaces and cgroups
// in one another.
//
//	/
//	└─ outer           100 MiB, 2 CPUs
//	   ├─ init.scope   its init process
//	   ├─ service      a process of outer's
//	   └─ inner        60 MiB → 300 MiB, 1 CPU
//	      ├─ init.scope
//	      └─ deep      40 MiB
func TestContainerInContainer(t *testing.T) {
	s := serve(t)
	meminfo := s.shared + "/proc/meminfo"
	outer := served.NewCgroup(t, "outer")
	scope, service, inner := outer.Child("init.scope"), outer.Child("service"), outer.Child("inner")
	innerScope, deep := inner.Child("init.scope"), inner.Child("deep")
	outer.SetMemory(100 * mib)
	outer.SetCPUs(2)
	inner.SetMemory(60 * mib)
	inner.SetCPUs(1)
	deep.SetMemory(40 * mib)

	out := newBox(t, "outer", place{cgroup: scope})
	in := newBox(t, "inner", place{cgroup: innerScope, inside: out})
	bottom := newBox(t, "deep", place{cgroup: deep, inside: in})

	t.Run("shared tree", func(t *testing.T) {
		wantTotal(t, "the outer container", out.read(t, meminfo), 100*mib)
		wantTotal(t, "a service of the outer one", out.ask(t, joined(service, "cat "+meminfo)), 100*mib)
		wantTotal(t, "the inner container", in.read(t, meminfo), 60*mib)
		wantTotal(t, "the container in the inner one", bottom.read(t, meminfo), 40*mib)
		wantTotal(t, "a namespace of the outer container that has no cgroup of its own",
			out.ask(t, "unshare --pid --fork cat "+meminfo), 100*mib)
		wantTotal(t, "one in a cgroup of the outer one that is no container's",
			out.ask(t, joined(service, "exec unshare --pid --fork cat "+meminfo)), 100*mib)
		if got := in.read(t, s.shared+"/sys/devices/system/cpu/online"); got != "0\n" {
			t.Errorf("the inner container, with one CPU, is shown CPUs %q", got)
		}
	})

	t.Run("each its own bound files", func(t *testing.T) {
		fresh := in.read(t, "/proc/meminfo")
		for _, b := range []*box{out, in, bottom} {
			s.mount(t, b)
		}
		wantTotal(t, "the outer container", out.read(t, "/proc/meminfo"), 100*mib)
		wantTotal(t, "the inner container", in.read(t, "/proc/meminfo"), 60*mib)
		wantTotal(t, "the container in the inner one", bottom.read(t, "/proc/meminfo"), 40*mib)
		inner.SetMemory(300 * mib) // more than the outer one has
		wantTotal(t, "the inner container, with more than the outer one", in.read(t, "/proc/meminfo"), 100*mib)
		wantTotal(t, "the inner container in the shared tree", in.read(t, meminfo), 100*mib)
		wantTotal(t, "the container in it", bottom.read(t, "/proc/meminfo"), 40*mib)
		s.unmount(t, in)
		wantTotal(t, "the inner container without its files", in.read(t, "/proc/meminfo"), memory(t, fresh, "MemTotal"))
		wantTotal(t, "the outer container after that", out.read(t, "/proc/meminfo"), 100*mib)
		wantTotal(t, "the container in the inner one after that", bottom.read(t, "/proc/meminfo"), 40*mib)
		s.mount(t, in)
	})

	t.Run("times and tasks", func(t *testing.T) {
		boxes := map[string]*box{"outer": out, "inner": in, "deep": bottom}
		cgroups := map[string]*served.Cgroup{"outer": outer, "inner": inner, "deep": deep}
		busyBefore := map[string]time.Duration{}
		// Between the two lies what the first reading shows.
		usedFirst, usedBefore := map[string]time.Duration{}, map[string]time.Duration{}
		for name, b := range boxes {
			usedFirst[name] = cpuUsage(t, cgroups[name])
			text := b.read(t, "/proc/stat")
			busyBefore[name], usedBefore[name] = busy(t, text), cpuUsage(t, cgroups[name])
		}
		bottom.burn(t, deep)
		until(t, "the burner has used 500 ms", func() bool { return cpuUsage(t, deep) > usedBefore["deep"]+500*time.Millisecond })
		for name, b := range boxes {
			least := cpuUsage(t, cgroups[name]) - usedBefore[name]
			shown := busy(t, b.read(t, "/proc/stat")) - busyBefore[name]
			most := cpuUsage(t, cgroups[name]) - usedFirst[name]
			if shown < least-cut || shown > most+cut {
				t.Errorf("%s: /proc/stat shows %v more busy time, its cgroup used between %v and %v", name, shown, least, most)
			}
		}
		for _, b := range []*box{out, in, bottom} {
			until(t, "the burner is in the loadavg of "+b.name, func() bool {
				l := loadOf(t, b.read(t, "/proc/loadavg"))
				return l.running >= 1 && l.all >= 2
			})
		}
		// Whoever is inside another started later; it is asked first.
		third, second, first := up(t, bottom.read(t, "/proc/uptime")), up(t, in.read(t, "/proc/uptime")), up(t, out.read(t, "/proc/uptime"))
		if first < second || second < third || third <= 0 || first > 10*patience {
			t.Errorf("up: the outer container %v, the inner one %v, the one in that %v", first, second, third)
		}
	})
}

// cut is what ticks cut off: one of user, one of system time, at both ends.
const cut = 4 * time.Second / 100

// TestPod has containers that share a PID namespace, as those of a pod may: its
// init process is the pause container's.
//
//	/
//	└─ pod      200 MiB → 50 MiB
//	   ├─ pause
//	   ├─ a     60 MiB, 1 CPU
//	   └─ b     80 MiB, 2 CPUs
func TestPod(t *testing.T) {
	s := serve(t)
	pod := served.NewCgroup(t, "pod")
	pause, a, b := pod.Child("pause"), pod.Child("a"), pod.Child("b")
	pod.SetMemory(200 * mib)
	a.SetMemory(60 * mib)
	a.SetCPUs(1)
	b.SetMemory(80 * mib)
	b.SetCPUs(2)
	paused := newBox(t, "pause", place{cgroup: pause})
	inA, inB := newBox(t, "a", place{cgroup: a, podOf: paused}), newBox(t, "b", place{cgroup: b, podOf: paused})
	if got, want := inA.ask(t, "readlink /proc/self/ns/pid"), paused.ask(t, "readlink /proc/self/ns/pid"); got != want {
		t.Fatalf("a's PID namespace is %s, the pod's %s", got, want)
	}
	all := map[*box]int64{paused: 200, inA: 60, inB: 80}
	check := func(path string) {
		t.Helper()
		for box, want := range all {
			wantTotal(t, box.name+" in "+path, box.read(t, path), want*mib)
		}
	}
	check(s.shared + "/proc/meminfo")
	for box := range all {
		s.mount(t, box)
	}
	check("/proc/meminfo")
	if got := inA.read(t, "/sys/devices/system/cpu/online"); got != "0\n" {
		t.Errorf("a, with one CPU, is shown CPUs %q", got)
	}
	// What runs in b is none of a's.
	inB.burn(t, b)
	until(t, "b's burner is in its loadavg", func() bool { return loadOf(t, inB.read(t, "/proc/loadavg")).running >= 1 })
	usedByB, usedByA := cpuUsage(t, b), cpuUsage(t, a)
	before := busy(t, inA.read(t, "/proc/stat"))
	until(t, "b's burner has used a second", func() bool { return cpuUsage(t, b) > usedByB+time.Second })
	shown := busy(t, inA.read(t, "/proc/stat")) - before
	if most := cpuUsage(t, a) - usedByA; shown > most+cut {
		t.Errorf("a's /proc/stat shows %v more busy time while b burned a second; a's cgroup has used %v", shown, most)
	}
	if l, tasks := loadOf(t, inA.read(t, "/proc/loadavg")), taskCount(t, a); l.running > 1 || l.all > tasks+few {
		t.Errorf("a's loadavg has %d runnable of %d tasks, its cgroup has %d", l.running, l.all, tasks)
	}
	pod.SetMemory(50 * mib)
	all = map[*box]int64{paused: 50, inA: 50, inB: 50}
	check(s.shared + "/proc/meminfo")
	check("/proc/meminfo")
}

// TestHostPID is a container in the host's PID namespace, and a process of the
// host's: each is shown its own cgroup, and the host's clock.
//
//	/
//	├─ container   70 MiB
//	└─ service     80 MiB, a process of the host with the host's mounts
func TestHostPID(t *testing.T) {
	s := serve(t)
	meminfo := s.shared + "/proc/meminfo"
	cg, service := served.NewCgroup(t, "host-pid"), served.NewCgroup(t, "service")
	cg.SetMemory(70 * mib)
	service.SetMemory(80 * mib)
	b := newBox(t, "host-pid", place{cgroup: cg, hostPID: true})
	wantTotal(t, "the container in the shared tree", b.read(t, meminfo), 70*mib)
	text, err := served.ReadFrom(service, meminfo)
	if err != nil {
		t.Fatal(err)
	}
	wantTotal(t, "a process of the host", text, 80*mib)
	host := up(t, b.read(t, "/proc/uptime"))
	s.mount(t, b)
	wantTotal(t, "the container", b.read(t, "/proc/meminfo"), 70*mib)
	for _, path := range []string{"/proc/uptime", s.shared + "/proc/uptime"} {
		if got := up(t, b.read(t, path)); got < host || got > host+patience {
			t.Errorf("%s is %v, the host's was %v", path, got, host)
		}
	}
	b.burn(t, cg)
	until(t, "the burner is in the loadavg", func() bool { return loadOf(t, b.read(t, "/proc/loadavg")).running >= 1 })
	if l, tasks := loadOf(t, b.read(t, "/proc/loadavg")), taskCount(t, cg); l.all > tasks+few || l.last < int64(b.pid) {
		t.Errorf("the loadavg has %d tasks, its cgroup %d; the largest PID is %d, init's %d", l.all, tasks, l.last, b.pid)
	}
}

// TestUserNamespace is a container whose root is an ordinary user of the host.
//
//	/
//	└─ users    90 MiB, 1 CPU
func TestUserNamespace(t *testing.T) {
	s := serve(t)
	cg := served.NewCgroup(t, "users")
	cg.SetMemory(90 * mib)
	cg.SetCPUs(1)
	b := newBox(t, "users", place{cgroup: cg, users: true})
	if got := b.ask(t, "id -u; cat /proc/self/uid_map"); strings.Join(strings.Fields(got), " ") != fmt.Sprintf("0 0 %d %d", firstUser, users) {
		t.Fatalf("its user and mapping are %q", got)
	}
	check := func(proc string) {
		t.Helper()
		wantTotal(t, "the container in "+proc, b.read(t, proc+"/meminfo"), 90*mib)
		wantTotal(t, "another user of it", b.ask(t, "setpriv --reuid 1000 --clear-groups cat "+proc+"/meminfo"), 90*mib)
		for _, name := range []string{"stat", "uptime", "loadavg", "cpuinfo", "vmstat", "diskstats", "swaps"} {
			text := b.read(t, proc+"/"+name)
			if text == "" && name != "diskstats" {
				t.Errorf("%s/%s is empty", proc, name)
			}
		}
		if n := strings.Count("\n"+b.read(t, proc+"/cpuinfo"), "\nprocessor"); n != 1 {
			t.Errorf("%s/cpuinfo has %d CPUs, want 1", proc, n)
		}
		// The host's root alone may read it, as the kernel's own.
		if text, status := b.try(t, "cat "+proc+"/slabinfo"); status == 0 {
			t.Errorf("%s/slabinfo can be read: %q", proc, text)
		}
	}
	check(s.shared + "/proc")
	s.mount(t, b)
	check("/proc")
	if text, status := b.try(t, "echo 1 >/proc/meminfo"); status == 0 {
		t.Errorf("meminfo can be written: %s", text)
	}
}
