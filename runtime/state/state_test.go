// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// ownerVariable makes the test binary a process that claims an id and waits to
// be killed.
const ownerVariable = "PROCFS_SHIM_TEST_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		s := state.New(dir, "/proc", quiet())
		_, err := s.Claim(context.Background(), state.Record{ID: "dead", Cgroup: "/left", Dirs: []string{filepath.Join(dir, "layer")}})
		_, _ = fmt.Fprintln(os.Stdout, err)
		select {}
	}
	os.Exit(m.Run()) //nolint:forbidigo // as package testing documents it
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// cgroups records what it is asked to remove.
type cgroups struct {
	mu      sync.Mutex
	removed []string
	err     error
	hold    chan struct{} // when not nil, Remove waits for it
}

func (c *cgroups) Remove(_ context.Context, path string) error {
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removed = append(c.removed, path)
	return c.err
}

func claim(t *testing.T, s *state.Store, r state.Record) *state.Entry {
	t.Helper()
	e, err := s.Claim(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Release() })
	return e
}

func TestRecordRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, "/proc", quiet())
	r := state.Record{
		ID: "c1", Status: "creating", Cgroup: "/x/c1", Dirs: []string{filepath.Join(dir, "layer")},
		Created: time.Unix(1700000000, 5).UTC(), Bundle: "/b", Rootfs: "/r", Command: []string{"sh", "-c", "x"},
		Annotations: map[string]string{"a": "b"},
	}
	e := claim(t, s, r)
	got, err := s.Load("c1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Owner.PID != os.Getpid() || !got.Owner.Alive("/proc") {
		t.Errorf("owner %+v, want this process, alive", got.Owner)
	}
	r.Owner = got.Owner
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("record (-written +read):\n%s", diff)
	}
	if err := e.Update(func(r *state.Record) { r.Status = "running"; r.ID = "other" }); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 || all[0].Status != "running" || all[0].ID != "c1" {
		t.Errorf("list %+v, %v", all, err)
	}
}

func TestClaimIsExclusive(t *testing.T) {
	s := state.New(t.TempDir(), "/proc", quiet())
	e := claim(t, s, state.Record{ID: "c1"})
	if _, err := s.Claim(t.Context(), state.Record{ID: "c1"}); !errors.Is(err, state.ErrInUse) {
		t.Errorf("second claim: %v, want ErrInUse", err)
	}
	c := &cgroups{}
	if err := s.Sweep(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("c1"); err != nil {
		t.Errorf("a living owner's entry was swept: %v", err)
	}
	if err := e.Remove(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), c); err != nil {
		t.Errorf("second removal: %v", err)
	}
	if _, err := s.Load("c1"); !errors.Is(err, state.ErrUnknown) {
		t.Errorf("removed entry: %v, want ErrUnknown", err)
	}
	claim(t, s, state.Record{ID: "c1"})
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", "web_1", "A.b+c-d", strings.Repeat("x", 200)} {
		if err := state.CheckID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", ".", "..", ".hidden", "-x", "a/b", "../x", "a b", "ä", "a\x00", "a\n", strings.Repeat("x", 201)} {
		if err := state.CheckID(id); err == nil {
			t.Errorf("%q: no error", id)
		}
	}
}

// killedOwner leaves the entry "dead" of a process that got SIGKILL.
func killedOwner(t *testing.T, dir string) {
	t.Helper()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("<nil>\n"))
	if _, err := io.ReadFull(out, answer); err != nil || string(answer) != "<nil>\n" {
		t.Errorf("owner says %q, %v", answer, err)
	}
	_ = owner.Process.Kill()
	_ = owner.Wait()
}

func TestSweepAfterKill(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, "/proc", quiet())
	if err := os.MkdirAll(filepath.Join(dir, "layer/upper/a"), 0o755); err != nil {
		t.Fatal(err)
	}
	killedOwner(t, dir)
	if _, err := s.Load("dead"); err != nil {
		t.Fatal(err)
	}
	c := &cgroups{err: errors.New("busy")}
	if err := s.Sweep(t.Context(), c); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("sweep that fails: %v", err)
	}
	if _, err := s.Claim(t.Context(), state.Record{ID: "dead"}); err == nil || errors.Is(err, state.ErrInUse) {
		t.Errorf("claim over a leftover: %v", err)
	}
	c.err = nil
	if err := s.Sweep(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.removed, []string{"/left", "/left"}) {
		t.Errorf("cgroups removed: %q", c.removed)
	}
	if _, err := os.Lstat(filepath.Join(dir, "layer")); !os.IsNotExist(err) {
		t.Errorf("layer: %v, want gone", err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "containers")); len(names) != 0 {
		t.Errorf("entries left: %v", names)
	}
}

// A claim of an id that is just being swept waits for the sweep.
func TestClaimWaitsForSweep(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, "/proc", quiet())
	killedOwner(t, dir)
	c := &cgroups{hold: make(chan struct{})}
	swept := make(chan error)
	go func() { swept <- s.Sweep(t.Context(), c) }()
	claimed := make(chan error)
	go func() {
		// Until the sweep has the lock, the answer is that a leftover is there.
		for {
			e, err := s.Claim(t.Context(), state.Record{ID: "dead"})
			if err == nil || errors.Is(err, state.ErrInUse) {
				if err == nil {
					err = e.Release()
				}
				claimed <- err
				return
			}
		}
	}()
	select {
	case err := <-claimed:
		t.Fatalf("claimed while the sweep is under way: %v", err)
	case <-time.After(100 * time.Millisecond): // it has to stay waiting
	}
	close(c.hold)
	if err := <-swept; err != nil {
		t.Error(err)
	}
	if err := <-claimed; err != nil {
		t.Error(err)
	}
}

// Died between mkdir and the first record, and things that are no entries.
func TestSweepOddEntries(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, "/proc", quiet())
	c := &cgroups{}
	if err := s.Sweep(t.Context(), c); err != nil {
		t.Errorf("no state directory: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("a sweep of nothing made %v", names)
	}
	at := func(name string) string { return filepath.Join(dir, "containers", name) }
	for _, name := range []string{"empty", "torn", "foreign", ".hidden"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		"torn/state.json":    `{"id": "torn", "dirs": ["/`,
		"foreign/state.json": `{"id": "else", "dirs": ["` + dir + `"]}`,
		"file":               "",
	} {
		if err := os.WriteFile(at(path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(at("empty")); !os.IsNotExist(err) {
		t.Errorf("entry without a record: %v, want gone", err)
	}
	for _, name := range []string{"torn", "foreign", ".hidden", "file"} {
		if _, err := os.Lstat(at(name)); err != nil {
			t.Errorf("%s: %v, want it left alone", name, err)
		}
	}
}

func TestSweepKillsInit(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, "/proc", quiet())
	victim := exec.Command("sleep", "1000")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := state.FindProcess("/proc", victim.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := p
	other.Start++ // the same PID, used again
	for _, init := range []state.Process{other, p} {
		e := claim(t, s, state.Record{ID: "c", Init: init})
		if err := e.Release(); err != nil {
			t.Fatal(err)
		}
		if init == other {
			if err := s.Sweep(t.Context(), &cgroups{}); err != nil {
				t.Fatal(err)
			}
			if !p.Alive("/proc") {
				t.Fatal("killed a process that only has the same PID")
			}
		}
	}
	ended := make(chan error)
	go func() { ended <- victim.Wait() }()
	if err := s.Sweep(t.Context(), &cgroups{}); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("init ended with %v", err)
	}
	if p.Alive("/proc") {
		t.Error("still alive")
	}
}

// Many processes' worth of starts and sweeps at once: no claim is ever swept.
func TestConcurrentClaimsAndSweeps(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			s := state.New(dir, "/proc", quiet()) // descriptors of its own, as another process
			for i := range 30 {
				id := fmt.Sprintf("c%d-%d", worker, i)
				e, err := s.Claim(t.Context(), state.Record{ID: id})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Sweep(t.Context(), &cgroups{}); err != nil {
					t.Error(err)
				}
				if _, err := s.Load(id); err != nil {
					t.Errorf("%s while it is owned: %v", id, err)
				}
				if i%3 == 0 {
					err = e.Release() // dies
				} else {
					err = e.Remove(t.Context(), &cgroups{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s := state.New(dir, "/proc", quiet())
	if err := s.Sweep(t.Context(), &cgroups{}); err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "containers")); len(names) != 0 {
		t.Errorf("entries left: %v", names)
	}
}

func BenchmarkSweepNothing(b *testing.B) {
	dir := b.TempDir()
	s := state.New(dir, "/proc", quiet())
	if err := os.Mkdir(filepath.Join(dir, "containers"), 0o700); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.Sweep(b.Context(), &cgroups{}); err != nil {
			b.Fatal(err)
		}
	}
}
