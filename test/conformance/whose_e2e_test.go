// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// memTotal returns MemTotal of a meminfo's text, in bytes.
func memTotal(t *testing.T, text string, err error) int64 {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no MemTotal in %q", text)
	return 0
}

const mib = 1 << 20

// sees returns a check of what a reader sees as MemTotal.
func sees(t *testing.T) func(who string, want int64) func(string, error) {
	return func(who string, want int64) func(string, error) {
		return func(text string, err error) {
			t.Helper()
			if got := memTotal(t, text, err); got != want*mib {
				t.Errorf("%s sees %d KiB, want %d MiB", who, got>>10, want)
			}
		}
	}
}

// TestWhoseView reads the shared tree from here and there:
//
//	/            no limit
//	├─ host      80 MiB, a process in the host's PID namespace
//	├─ a         100 MiB, a container
//	└─ b         110 MiB, another container, which at last shares a's namespace
func TestWhoseView(t *testing.T) {
	s := served.Start(t)
	meminfo := filepath.Join(s.Shared, "proc/meminfo")
	host, a, b := served.NewCgroup(t, "host"), served.NewCgroup(t, "a"), served.NewCgroup(t, "b")
	host.SetMemory(80 * mib)
	a.SetMemory(100 * mib)
	b.SetMemory(110 * mib)
	check := sees(t)
	inA, inB := served.StartReader(t, a), served.StartReader(t, b)
	check("a's init process", 100)(inA.Read(meminfo))
	check("b's init process", 110)(inB.Read(meminfo))
	check("a process in a", 100)(inA.ReadByChild(nil, meminfo))
	check("a container of a pod", 110)(inA.ReadByChild(b, meminfo))
	check("a process of the host", 80)(served.ReadFrom(host, meminfo))
	check("a process of the host in a's cgroup", 100)(served.ReadFrom(a, meminfo))
	if !testenv.InGuest() {
		check("an entrant with a's cgroup", 100)(inA.ReadByEntrant(a, meminfo))
		check("an entrant with the host's cgroup", 80)(inA.ReadByEntrant(host, meminfo))
	}
	inA.Join(b)
	check("a's init process, moved to b", 110)(inA.Read(meminfo))
	if counts := s.Errors(""); len(counts) > 0 {
		t.Errorf("the server counted %v", counts)
	}
}

// TestNested is a container with cgroups of its own, as one that runs systemd:
//
//	/
//	└─ c              100 MiB, the container
//	   ├─ init.scope  95 MiB, its init process
//	   └─ service     90 MiB, others
func TestNested(t *testing.T) {
	s := served.Start(t)
	meminfo := filepath.Join(s.Shared, "proc/meminfo")
	c := served.NewCgroup(t, "c")
	c.SetMemory(100 * mib)
	scope, service := c.Child("init.scope"), c.Child("service")
	scope.SetMemory(95 * mib)
	service.SetMemory(90 * mib)
	check := sees(t)
	inside := served.StartReader(t, scope)
	check("the init process in its init.scope", 100)(inside.Read(meminfo))
	check("a service, init being in init.scope", 100)(inside.ReadByChild(service, meminfo))
	if layout, err := testenv.CgroupLayout(); err != nil || layout == "v2" {
		return // there, processes are in leaves only
	}
	inside.Join(c)
	check("the init process", 100)(inside.Read(meminfo))
	check("a service", 100)(inside.ReadByChild(service, meminfo))
}

// A handle goes on with its text whoever reads on, and begins anew as whoever
// begins: the file is one inode for all.
func TestSharedByTurns(t *testing.T) {
	s := served.Start(t)
	meminfo := filepath.Join(s.Shared, "proc/meminfo")
	var readers []*served.Reader
	for i, name := range []string{"x", "y"} {
		cg := served.NewCgroup(t, name)
		cg.SetMemory(int64(64+i) * mib)
		readers = append(readers, served.StartReader(t, cg))
	}
	fds := make([]int, len(readers))
	for i, r := range readers {
		fd, err := r.Open(meminfo)
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	for range 50 {
		texts := make([]string, len(readers))
		for len(texts[0]) < 1000 {
			for i, r := range readers {
				part, err := r.Pread(fds[i], 100, int64(len(texts[i])))
				if err != nil {
					t.Fatal(err)
				}
				texts[i] += part
			}
		}
		for i, text := range texts {
			if got := memTotal(t, text, nil); got != int64(64+i)*mib {
				t.Fatalf("reader %d sees %d MiB", i, got/mib)
			}
		}
	}
}

// A cgroup made anew under its old name is another one.
func TestSameNameAgain(t *testing.T) {
	s := served.Start(t)
	meminfo := filepath.Join(s.Shared, "proc/meminfo")
	for i := range 3 {
		cg := served.NewCgroup(t, "again")
		cg.SetMemory(int64(64+i) * mib)
		r := served.StartReader(t, cg)
		text, err := r.Read(meminfo)
		if got := memTotal(t, text, err); got != int64(64+i)*mib {
			t.Errorf("round %d: MemTotal is %d MiB", i, got/mib)
		}
		r.Stop()
		cg.Remove()
	}
}
