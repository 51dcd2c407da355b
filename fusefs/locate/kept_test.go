// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openFiles counts this process's descriptors of files of this name.
func openFiles(t *testing.T, name string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasSuffix(target, name) {
			n++
		}
	}
	return n
}

// a fake is a thread that isn't one: its file is dir/ID/cgroup.
func fake(t *testing.T, dir string, id int, space namespace, init *thread) *thread {
	t.Helper()
	path := fmt.Sprintf("%s/%d", dir, id)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/cgroup", []byte("0::/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := openTask(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	defer held.close()
	made, err := held.follow()
	if err != nil {
		t.Fatal(err)
	}
	made.space, made.init = space, init
	if init != nil {
		init.refs.Add(1)
	}
	return made
}

func ids(k *kept) map[int]bool {
	found := map[int]bool{}
	for id := range k.byID {
		found[id] = true
	}
	return found
}

// Who reads with a thousand threads takes no place from who reads with one.
func TestKeptIsShared(t *testing.T) {
	dir := t.TempDir()
	k := newKept(8)
	add := func(id int, space uint64) {
		one := fake(t, dir, id, namespace{ino: space}, nil)
		k.add(one)
		one.release()
	}
	for i := range 4 {
		add(i, uint64(i))
	}
	for id := 100; id < 200; id++ {
		add(id, 100)
	}
	want := map[int]bool{0: true, 1: true, 2: true, 3: true, 196: true, 197: true, 198: true, 199: true}
	if got := ids(k); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept are %v, want %v", got, want)
	}
	// With one each, the one used least recently goes.
	k.use(0).release()
	for id := 4; id < 11; id++ {
		add(id, uint64(id))
	}
	want = map[int]bool{0: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true}
	if got := ids(k); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept are %v, want %v", got, want)
	}
	if n := openFiles(t, "/cgroup"); n != 8 {
		t.Errorf("%d files are open, want 8", n)
	}
	k.clear()
	add(1, 1)
	if n := openFiles(t, "/cgroup"); n != 0 || len(k.byID)+len(k.inits)+len(k.members) != 0 {
		t.Errorf("%d files are open in the end, %v", n, k)
	}
}

// Init is open for as long as one of its readers is kept, and is found by them.
func TestKeptInit(t *testing.T) {
	dir := t.TempDir()
	k := newKept(3)
	init := fake(t, dir, 1, namespace{ino: 1}, nil)
	init.init = init
	for id := 2; id < 9; id++ {
		reader := fake(t, dir, id, init.space, init)
		k.add(reader)
		reader.release()
	}
	init.release()
	if got := ids(k); len(got) != 3 || !got[1] {
		t.Errorf("kept are %v", got)
	}
	found := k.initOf(namespace{ino: 1})
	if found != init {
		t.Fatalf("init is %v", found)
	}
	found.release()
	// Another process has init's number, while readers of the first are kept.
	other := fake(t, dir, 1, namespace{ino: 2}, nil)
	k.add(other)
	other.release()
	if k.initOf(namespace{ino: 1}) != nil || openFiles(t, "/1/cgroup") != 2 {
		t.Errorf("init was replaced: %v, %d files", k.inits, openFiles(t, "/1/cgroup"))
	}
	k.clear()
	if n := openFiles(t, "/cgroup"); n != 0 {
		t.Errorf("%d files are open in the end", n)
	}
}

// A file's text is read whole, however long, and only a new text is a new membership.
func TestMembership(t *testing.T) {
	l := newLocator(t)
	dir := t.TempDir()
	one := fake(t, dir, 7, namespace{}, nil)
	defer one.release()
	write := func(text string) {
		if err := os.WriteFile(dir+"/7/cgroup", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := func() string {
		m, err := l.membership(one)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := m.paths.Path("memory")
		return at
	}
	first, err := l.membership(one)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.membership(one); err != nil || again != first {
		t.Errorf("the same text: %v, %v", again, err)
	}
	long := "/" + strings.Repeat("a", 4000)
	for _, want := range []string{"/a", long, "/b", "/a"} {
		write("0::" + want + "\n")
		if got := path(); got != want {
			t.Errorf("is in %.20s, want %.20s", got, want)
		}
	}
	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "%d:name=h%d:%s\n", i+1, i, long)
	}
	write(many.String() + "0::/end\n")
	if got := path(); got != "/end" {
		t.Errorf("is in %.20s, want /end", got)
	}
	for text, want := range map[string]string{
		"0::/x (deleted)\n":               "deleted",
		"0::\n":                           "/7/cgroup",
		strings.Repeat("0::/\n", maxText): "longer than",
	} {
		write(text)
		if _, err := l.membership(one); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// Of an earlier text nothing is kept that would be given as a later one.
func TestRecent(t *testing.T) {
	l := newLocator(t)
	now := time.Unix(1000, 0)
	l.now = func() time.Time { return now }
	dir := t.TempDir()
	one := fake(t, dir, 7, namespace{}, nil)
	defer one.release()
	in := func() string {
		m, err := l.recent(one)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := m.paths.Path("")
		return at
	}
	if got := in(); got != "/" {
		t.Errorf("is in %s", got)
	}
	if err := os.WriteFile(dir+"/7/cgroup", []byte("0::/new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(maxAge - 1)
	if got := in(); got != "/" {
		t.Errorf("was looked at again after %v", maxAge-1)
	}
	now = now.Add(1)
	if got := in(); got != "/new" {
		t.Errorf("is in %s after %v", got, maxAge)
	}
	old := &membership{text: "0::/old\n"}
	one.remember(old, now.Add(-1))
	if got := in(); got != "/new" {
		t.Errorf("a slow look at what was before counts: %s", got)
	}
	one.remember(&membership{text: "0::/x (deleted)\n"}, now)
	if last, _ := one.remembered(); last != nil {
		t.Errorf("a text that may mean two things is remembered: %v", last)
	}
}

// Threads that end while others look them up, with room for few.
func TestLocateRace(t *testing.T) {
	l := newLocator(t)
	l.kept.most = 3
	want, err := l.layout.OfProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var tids [8]atomic.Uint32
	var ended atomic.Bool
	var threads, readers sync.WaitGroup
	for i := range tids {
		threads.Go(func() {
			for !ended.Load() {
				var one sync.WaitGroup
				one.Go(func() { // its thread ends with it
					goruntime.LockOSThread()
					tids[i].Store(uint32(unix.Gettid()))
					time.Sleep(time.Millisecond)
				})
				one.Wait()
			}
		})
	}
	for i := range 4 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 2000 {
				place, err := l.Locate(tids[random.IntN(len(tids))].Load())
				if err == nil && !place.Cgroup.Equal(want) || err != nil && !errors.Is(err, ErrNotVisible) {
					t.Errorf("located in %v, %v", place, err)
				}
			}
		})
	}
	readers.Wait()
	ended.Store(true)
	threads.Wait()
	l.Close()
	if n := openFiles(t, "/cgroup"); n != 0 {
		t.Errorf("%d files are open in the end", n)
	}
	if _, err := l.Locate(uint32(unix.Getpid())); err != nil || openFiles(t, "/cgroup") != 0 {
		t.Errorf("after Close: %v, %d files open", err, openFiles(t, "/cgroup"))
	}
}
