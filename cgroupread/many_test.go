// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"sync"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// many makes cgroups of a node with many pods in a captured host: for each a
// directory in every one of dirs, of which some have a memory.max of their own. It
// returns what /proc/PID/cgroup says in each.
func many(t *testing.T, h *fixture.Host, n int, dirs []string, text func(path string) string) (texts []string) {
	t.Helper()
	const pods = "/kubepods.slice/kubepods-burstable.slice"
	for _, dir := range dirs {
		if err := os.MkdirAll(h.Path(dir)+pods, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		path := fmt.Sprintf("%s/cri-containerd-%064x.scope", pods, i)
		for _, dir := range dirs {
			if err := os.Mkdir(h.Path(dir)+path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if most, limited := maxOf(i).Value(); limited {
			if err := os.WriteFile(h.Path(dirs[0])+path+"/memory.max", fmt.Appendf(nil, "%d\n", most), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		texts = append(texts, text(path))
	}
	return texts
}

// maxOf is the memory.max of cgroup i.
func maxOf(i int) limits.Limit {
	if i%8 > 0 {
		return limits.None()
	}
	return limits.To(uint64(i+1) << 20)
}

func openAll(t *testing.T, l *cgroupread.Layout, texts []string) []*cgroupread.Cgroup {
	t.Helper()
	var all []*cgroupread.Cgroup
	for _, text := range texts {
		p, err := l.OfText([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		cg, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cg)
	}
	return all
}

func closeAll(t *testing.T, all []*cgroupread.Cgroup) {
	t.Helper()
	for _, cg := range all {
		if err := cg.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

// openIdle opens all, which nobody reads: each takes less than 1 KiB of memory, its
// paths included, and no descriptor.
func openIdle(t *testing.T, l *cgroupread.Layout, texts []string) []*cgroupread.Cgroup {
	t.Helper()
	files, before := descriptors(t), heap()
	all := openAll(t, l, texts)
	each := (int(heap()) - int(before)) / len(all)
	t.Logf("%d bytes each", each)
	if each > 1024 {
		t.Errorf("%d bytes each, want at most 1024", each)
	}
	if n := descriptors(t); n != files {
		t.Errorf("%d descriptors for %d cgroups that nobody reads", n-files, len(all))
	}
	goruntime.KeepAlive(texts)
	return all
}

// A host with many hierarchies.
func TestIdleMemory(t *testing.T) {
	h := fixture.Load(t, "debian12-hybrid")
	dirs := []string{
		"sys/fs/cgroup/memory", "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpuset",
		"sys/fs/cgroup/cpuacct", "sys/fs/cgroup/blkio", "sys/fs/cgroup/unified",
	}
	texts := many(t, h, 500, dirs, func(path string) string {
		text := "0::" + path + "\n"
		for i, controllers := range []string{
			"cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls",
			"perf_event", "net_prio", "hugetlb", "pids", "rdma", "name=systemd",
		} {
			text = fmt.Sprintf("%d:%s:%s\n", i+1, controllers, path) + text
		}
		return text
	})
	closeAll(t, openIdle(t, detect(t, h), texts))
}

// 10,000 cgroups read at random with 64 descriptors: each says its own limit, and
// no more than 64 stay open.
func TestFewDescriptors(t *testing.T) {
	const n, few = 10_000, 64
	h := fixture.Load(t, "debian12-v2")
	l, err := cgroupread.Detect(h.Proc, cgroupread.Descriptors(few))
	if err != nil {
		t.Fatal(err)
	}
	texts := many(t, h, n, []string{"sys/fs/cgroup"}, func(path string) string { return "0::" + path + "\n" })
	before := descriptors(t)
	empty := heap()
	all := openIdle(t, l, texts)
	var readers sync.WaitGroup
	for seed := range uint64(4) {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // which are read may be known
			for range 1000 {
				i := random.IntN(n)
				if random.IntN(4) == 0 {
					i %= 3 // some are read more often
				}
				if chain, err := all[i].Memory(); err != nil || chain[0].Max != maxOf(i) {
					t.Errorf("cgroup %d: %v, %v", i, chain, err)
					return
				}
			}
		})
	}
	readers.Wait()
	if open := descriptors(t) - before; open != few {
		t.Errorf("%d descriptors are open, want %d", open, few)
	}
	closeAll(t, all)
	if open := descriptors(t) - before; open != 0 {
		t.Errorf("%d descriptors are open after Close", open)
	}
	clear(all)
	if left := int(heap()) - int(empty); left > 1<<20 {
		t.Errorf("%d bytes are left after Close", left)
	}
	goruntime.KeepAlive(texts)
}

// A cgroup that was deleted, and another one under its name: each handle is of
// its own, whoever reads first.
func TestNameUsedAgain(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	l := detect(t, h)
	before := descriptors(t)
	old := openUnclosed(t, l, fixture.Container)
	if _, err := old.Memory(); err != nil {
		t.Fatal(err)
	}
	dir := "sys/fs/cgroup" + fixture.Container
	removeForGood(t, h, dir)
	h.Write(dir+"/cgroup.procs", "")
	h.Write(dir+"/memory.max", "4194304\n")
	anew := openUnclosed(t, l, fixture.Container)
	for range 3 {
		if chain, err := anew.Memory(); err != nil || chain.Max() != limits.To(4<<20) {
			t.Errorf("the new one: %v, %v", chain, err)
		}
		if chain, err := old.Memory(); !errors.Is(err, cgroupread.ErrGone) {
			t.Errorf("the old one: %v, %v, want ErrGone", chain, err)
		}
	}
	closeAll(t, []*cgroupread.Cgroup{old, anew})
	if open := descriptors(t) - before - 1; open != 0 { // less what holds the inode number
		t.Errorf("%d descriptors are open after Close", open)
	}
}

// A controller is turned off and on again: files go, and others come under their
// names.
func TestControllerToggled(t *testing.T) {
	h := fixture.Load(t, "debian12-v2")
	cg := open(t, detect(t, h), fixture.Container)
	file := "sys/fs/cgroup" + fixture.Container + "/memory.max"
	for range 3 {
		for _, c := range []struct {
			text string
			want limits.Limit
		}{{"", limits.None()}, {"4194304\n", limits.To(4 << 20)}, {"8388608\n", limits.To(8 << 20)}} {
			h.Remove(file)
			if c.text != "" {
				h.Write(file, c.text)
			}
			for range 2 {
				if chain, err := cg.Memory(); err != nil || chain[0].Max != c.want {
					t.Errorf("%q: %v, %v", c.text, chain, err)
				}
			}
			if c.text == "" {
				h.Write(file, "1\n") // for the next one to remove
			}
		}
	}
}
