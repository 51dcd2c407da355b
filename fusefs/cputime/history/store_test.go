// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

// testLog collects what is logged.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open(tb testing.TB, dir, boot string, log *slog.Logger) *Store {
	tb.Helper()
	store, err := Open(dir, boot, log)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	return store
}

// quiet opens a store that must have nothing to say.
func quiet(tb testing.TB, dir string) *Store {
	tb.Helper()
	var log testLog
	tb.Cleanup(func() {
		if text := log.String(); text != "" {
			tb.Errorf("logged: %s", text)
		}
	})
	return open(tb, dir, "boot", log.logger())
}

// at is a sample of a container on so many CPUs that uses a tenth of its time.
func at(now time.Duration, cpus int) cputime.Sample {
	used := now * time.Duration(cpus) / 10
	return cputime.Sample{
		Now: now, Start: s, Visible: cpulist.Range(0, cpus-1),
		Usage: limits.CPUTime{Total: used, User: used},
	}
}

func advance(tb testing.TB, e *Entry, sample cputime.Sample) []cputime.Column {
	tb.Helper()
	columns, err := e.Advance(nil, sample)
	if err != nil {
		tb.Fatal(err)
	}
	return columns
}

// web is the container of most tests.
func web() Key { return Key{ID: "web", Start: s, Inode: 7} }

// A server that is killed leaves nothing but its files: here the successor opens
// the directory while the predecessor's store is still there, unclosed.
func TestSuccessorGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cpu")
	var want cputime.History
	for i := range 9 {
		e := quiet(t, dir).Entry(web())
		for j := range i { // odd and even numbers of writes
			sample := at(time.Duration(10+10*i+j)*s, 1+(i+j)%4)
			if got := advance(t, e, sample); !slices.Equal(got, want.Advance(nil, sample)) {
				t.Fatalf("server %d, read %d: %+v", i, j, got)
			}
		}
		if i > 0 && !slices.Equal(e.history.Advance(nil, cputime.Sample{}), want.Advance(nil, cputime.Sample{})) {
			t.Fatalf("server %d took over something else", i)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
}

func TestOldSampleWritesNothing(t *testing.T) {
	dir := t.TempDir()
	e := quiet(t, dir).Entry(web())
	advance(t, e, at(10*s, 2))
	before := e.sequence
	advance(t, e, at(10*s, 2))
	advance(t, e, at(9*s, 4))
	if e.sequence != before {
		t.Errorf("%d records written", e.sequence-before)
	}
}

func TestOthersDoNotInherit(t *testing.T) {
	dir := t.TempDir()
	e := quiet(t, dir).Entry(web())
	advance(t, e, at(10*s, 2))
	for _, other := range []Key{{"db", s, 7}, {"web", 2 * s, 7}, {"web", s, 8}, {"", 0, 0}} {
		if h := &quiet(t, dir).Entry(other).history; h.At() != 0 {
			t.Errorf("%+v inherits", other)
		}
	}
	if h := &open(t, dir, "next boot", slog.New(slog.DiscardHandler)).Entry(web()).history; h.At() != 0 {
		t.Error("a container inherits over a reboot")
	}
	if h := &quiet(t, dir).Entry(web()).history; h.At() != 10*s {
		t.Error("the container itself doesn't")
	}
}

// file is the path of the key's file.
func file(store *Store, k Key) string { return filepath.Join(store.root.Name(), store.name(k)) }

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	past := open(t, dir, "boot before", slog.New(slog.DiscardHandler))
	advance(t, past.Entry(web()), at(99*s, 2))
	var log testLog
	store := open(t, dir, "boot", log.logger())
	gone, lives, torn := Key{"gone", s, 1}, Key{"lives", s, 2}, Key{"torn", s, 3}
	for _, k := range []Key{gone, lives, torn} {
		advance(t, store.Entry(k), at(10*s, 2))
	}
	if err := os.Truncate(file(store, torn), stride+20); err != nil {
		t.Fatal(err)
	}
	empty := file(store, Key{"empty", s, 4})
	for _, name := range []string{empty, filepath.Join(dir, "README"), filepath.Join(dir, "x.cpu")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var asked []Key
	n, err := store.Sweep(func(k Key) bool {
		asked = append(asked, k)
		return k == lives
	})
	if n != 3 || err != nil { // the past boot's, gone, empty
		t.Errorf("%d removed, %v", n, err)
	}
	slices.SortFunc(asked, func(a, b Key) int { return int(a.Inode) - int(b.Inode) })
	if !slices.Equal(asked, []Key{gone, lives}) {
		t.Errorf("asked for %v", asked)
	}
	want := []string{"README", filepath.Base(file(store, lives)), filepath.Base(file(store, torn)) + bad, "x.cpu"}
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	if !strings.Contains(log.String(), "cut short") {
		t.Errorf("logged: %s", log.String())
	}
}

func names(tb testing.TB, dir string) (all []string) {
	tb.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range list {
		all = append(all, file.Name())
	}
	return all
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	e := quiet(t, dir).Entry(web())
	advance(t, e, at(10*s, 2))
	if err := e.Remove(); err != nil {
		t.Fatal(err)
	}
	advance(t, e, at(11*s, 2)) // a late reader
	if err := e.Remove(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	unread := quiet(t, dir).Entry(web())
	if err := unread.Remove(); err != nil {
		t.Errorf("remove what was never written: %v", err)
	}
}

func TestNilStore(t *testing.T) {
	var store *Store
	e := store.Entry(web())
	if got := advance(t, e, at(10*s, 2)); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	e.Close()
	if err := e.Remove(); err != nil {
		t.Error(err)
	}
}

// When nothing can be written the columns are right, and the error names all that
// somebody needs to mend it.
func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	store := quiet(t, dir)
	e := store.Entry(web())
	path := file(store, web())
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		columns, err := e.Advance(nil, at(time.Duration(10+i)*s, 2))
		if len(columns) != 2 || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"web"`) {
			t.Errorf("%v, %v", columns, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	advance(t, e, at(20*s, 2))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Advance(nil, at(21*s, 2)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if now := quiet(t, dir).Entry(web()).history.At(); now != 20*s {
		t.Errorf("the next one stands at %v", now)
	}
	if _, err := Open(filepath.Join(dir, "no", "parent"), "boot", slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open below nothing: %v", err)
	}
	if _, err := Open(path, "boot", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Open of a file")
	}
}

// More containers than descriptors, read in parallel.
func TestDescriptorsAreBounded(t *testing.T) {
	const containers, readers = mostOpen + 100, 8
	dir := t.TempDir()
	store := quiet(t, dir)
	var group sync.WaitGroup
	for r := range readers {
		group.Go(func() {
			var entries []*Entry
			for i := r; i < containers; i += readers {
				entries = append(entries, store.Entry(Key{ID: "c", Start: s, Inode: uint64(i)}))
			}
			for i := range 5 {
				for _, e := range entries {
					if _, err := e.Advance(nil, at(time.Duration(10+i)*s, 2)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	if n := len(store.open); n != mostOpen {
		t.Errorf("%d files are open", n)
	}
	again := quiet(t, dir)
	for i := range containers {
		if now := again.Entry(Key{ID: "c", Start: s, Inode: uint64(i)}).history.At(); now != 14*s {
			t.Fatalf("container %d stands at %v", i, now)
		}
	}
}
