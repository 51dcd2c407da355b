// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// descriptors counts the process's.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// checkLists says whether the cache's two kinds of lists agree.
func (c *Cache) checkLists(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	var newer *file
	for f := c.newest; f != nil; newer, f = f, f.older {
		n++
		if f.newer != newer || !f.kept || f.users != 0 || f.level.find(f.name) != f {
			t.Errorf("%+v in the list", f)
		}
	}
	if newer != c.oldest || n != c.kept {
		t.Errorf("%d files in the list, %d kept", n, c.kept)
	}
}

// Readers of many files in few descriptors, while branches come and go: every text
// is that of its file, and descriptors are counted exactly.
func TestEviction(t *testing.T) {
	const containers, files = 6, 4
	texts := map[string]string{"cgroup.procs": ""}
	for c := range containers {
		for f := range files {
			texts[fmt.Sprintf("pod/c%d/f%d", c, f)] = fmt.Sprintf("c%d f%d", c, f)
			texts[fmt.Sprintf("pod/f%d", f)] = fmt.Sprintf("pod f%d", f)
		}
	}
	dir := tree(t, texts)
	for _, most := range []int{0, 1, 3, 1000} {
		before := descriptors(t)
		cache := NewCache(most)
		tree := cache.Tree(dir, "/", true, true)
		longLived, err := tree.Open("/pod/c0")
		if err != nil {
			t.Fatal(err)
		}
		read := func(b *Branch, i, f int) {
			name := fmt.Sprintf("f%d", f)
			err := b.Read(nil, func(p *Pass) {
				own := string(p.Text(b.Level(0), name))
				pod := string(p.Text(b.Level(1), name))
				if own != fmt.Sprintf("c%d f%d", i, f) || pod != "pod "+name {
					t.Errorf("container %d, file %d: %q, %q", i, f, own, pod)
				}
			})
			if err != nil {
				t.Error(err)
			}
		}
		var readers sync.WaitGroup
		for seed := range uint64(4) {
			readers.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(most))) //nolint:gosec // not secret
				for range 100 {
					i := random.IntN(containers)
					b, err := tree.Open(fmt.Sprintf("/pod/c%d", i))
					if err != nil {
						t.Error(err)
						return
					}
					for range 10 {
						read(b, i, random.IntN(files))
						read(longLived, 0, random.IntN(files))
					}
					if err := b.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		readers.Wait()
		cache.checkLists(t)
		if kept, open := cache.Descriptors(), descriptors(t)-before; kept != open || kept > most {
			t.Errorf("%d descriptors are kept, %d open, want at most %d", kept, open, most)
		}
		if err := longLived.Close(); err != nil {
			t.Error(err)
		}
		if n := cache.Descriptors(); n != 0 || descriptors(t) != before || len(tree.ancestors) != 0 {
			t.Errorf("%d descriptors, %d levels after Close", n, len(tree.ancestors))
		}
	}
}

// Containers of one pod share what their ancestors have open, and a pass that
// outlives its branch closes what it opened.
func TestShared(t *testing.T) {
	dir := tree(t, map[string]string{"pod/a/f": "a", "pod/b/f": "b", "pod/f": "pod"})
	before := descriptors(t)
	cache := NewCache(100)
	tree := cache.Tree(dir, "/", true, true)
	a, errA := tree.Open("/pod/a")
	b, errB := tree.Open("/pod/b")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Level(1) != b.Level(1) {
		t.Error("two levels for one ancestor")
	}
	for _, x := range []*Branch{a, b} {
		if err := x.Read(nil, func(p *Pass) { p.Text(x.Level(0), "f"); p.Text(x.Level(1), "f") }); err != nil {
			t.Error(err)
		}
	}
	if n := cache.Descriptors(); n != 6 { // three files and their directories
		t.Errorf("%d descriptors", n)
	}
	err := a.Read(nil, func(p *Pass) {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if n := cache.Descriptors(); n != 4 {
			t.Errorf("%d descriptors once one is closed", n)
		}
		if text := p.Text(a.Level(0), "f"); string(text) != "a" {
			t.Errorf("read %q after Close", text)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil || descriptors(t) != before {
		t.Errorf("%d descriptors, %v", descriptors(t)-before, err)
	}
}

// Once makes nothing stay open.
func TestOnce(t *testing.T) {
	b := openTree(t, tree(t, map[string]string{"f": "x"}), true)
	before := descriptors(t)
	if err := b.Once(func(p *Pass) { p.Text(b.Level(0), "f"); p.Text(b.Level(0), "g") }); err != nil {
		t.Error(err)
	}
	if n := descriptors(t) - before; n != 0 {
		t.Errorf("%d descriptors", n)
	}
}

// A process without a descriptor left: the cache gives up what it has to spare.
func TestNoDescriptorsLeft(t *testing.T) {
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("f%d", i)] = fmt.Sprint(i)
	}
	dir := tree(t, files)
	b, err := NewCache(1000).Tree(filepath.Dir(dir), "/", true, true).Open("/" + filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = uint64(descriptors(t) + 10)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	err = b.Read(nil, func(p *Pass) {
		for i := range 50 {
			if text := p.Text(b.Level(0), fmt.Sprintf("f%d", i)); string(text) != fmt.Sprint(i) {
				t.Errorf("file %d: %q", i, text)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	// With none to spare it says so, and not that files are missing.
	b2, err := NewCache(1000).Tree(filepath.Dir(dir), "/", true, true).Open("/" + filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	few.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	err = b2.Read(nil, func(p *Pass) { p.Text(b2.Level(0), "f0") })
	if restored := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("%v, want EMFILE", err)
	}
	if err := b2.Close(); err != nil {
		t.Error(err)
	}
}

// Of a text that doesn't fit the first buffer nothing is put together of two reads.
func TestGrows(t *testing.T) {
	dir := tree(t, map[string]string{"f": ""})
	b := openTree(t, dir, true)
	for _, size := range []int{bufferSize - 1, bufferSize, bufferSize + 1, 5 * bufferSize} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte('a' + i%26)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), want, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, read := range []func(*Pass, *Level, string) []byte{(*Pass).Text, (*Pass).Long} {
			if err := b.Read(nil, func(p *Pass) {
				if got := read(p, b.Level(0), "f"); !bytes.Equal(got, want) {
					t.Errorf("%d bytes of %d", len(got), size)
				}
			}); err != nil {
				t.Error(err)
			}
		}
	}
}
