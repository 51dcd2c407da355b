// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// fakeTree remembers what was added. Like the real one it has one place per
// id.
type fakeTree struct {
	mu      sync.Mutex
	present map[string]bool
	policy  map[string]view.Policy
	adds    int
	fail    error
}

func (t *fakeTree) Add(c fusefs.Container) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return "", t.fail
	}
	if t.present[c.ID] {
		return "", fmt.Errorf("%s: added twice", c.ID)
	}
	t.present[c.ID] = true
	t.adds++
	return "dir-" + c.ID, nil
}

func (t *fakeTree) Remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.present[id] {
		panic(id + ": removed, but not there")
	}
	delete(t.present, id)
}

func (t *fakeTree) SetPolicy(id string, p view.Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.present[id] {
		panic(id + ": its policy is set, but it isn't there")
	}
	t.policy[id] = p
}

func (t *fakeTree) policyOf(id string) view.Policy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policy[id]
}

func (t *fakeTree) Errors(string) map[fusefs.Cause]uint64 {
	return map[fusefs.Cause]uint64{failure.CauseCgroup: 3}
}

// Explain knows one file.
func (t *fakeTree) Explain(id, path string, snapshot uint64) (fusefs.Explanation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.present[id]:
		return fusefs.Explanation{}, fusefs.ErrNotRegistered
	case path != "proc/meminfo":
		return fusefs.Explanation{}, fusefs.ErrNotServed
	case snapshot != 0 && snapshot != 7:
		return fusefs.Explanation{}, fusefs.ErrNoSnapshot
	}
	return fusefs.Explanation{
		Snapshot: 7, File: path, Text: bytes.Repeat([]byte("MemTotal:  1 kB\n"), 9000),
		Inputs: []fusefs.Input{{Path: "/sys/fs/cgroup/memory.max", Text: []byte("max\n")}, {Path: "/sys/fs/cgroup/memory.high"}, {Path: "/x", Text: []byte{}}},
	}, nil
}

func (t *fakeTree) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.present)
}

func newFakeRegistry() (*registry, *fakeTree) {
	tree := &fakeTree{present: make(map[string]bool), policy: make(map[string]view.Policy)}
	return &registry{
		log:     slog.New(slog.DiscardHandler),
		clock:   func() time.Time { return time.Unix(1000, 0) },
		procs:   process.Table{Root: "/proc"},
		open:    func(cgroupread.Paths) (*cgroupread.Cgroup, error) { return new(cgroupread.Cgroup), nil },
		tree:    tree,
		root:    "/state/bound",
		kept:    "/state/static",
		has:     func(file string) bool { return file == "proc/meminfo" },
		max:     8,
		entries: make(map[string]*entry),
	}, tree
}

// livingProcess starts a process that lives until the test's end or somebody
// kills it.
func livingProcess(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may be gone already
		cmd.Wait()         //nolint:errcheck // its status says that it was killed
	})
	return cmd
}

// codeOf gives the code that an error is answered with, "" for nil.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return wire.AsError(err).Code
}

func cgroupOf(t *testing.T, path string) cgroupread.Paths {
	t.Helper()
	p, err := cgroupread.NewPaths(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pidOf(cmd *exec.Cmd) int { return cmd.Process.Pid }

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // its status says that it was killed
}

func TestRegisterTwiceChangesNothing(t *testing.T) {
	reg, tree := newFakeRegistry()
	r := Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(livingProcess(t))}
	for range 2 {
		got, err := reg.register(&session{}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got.Dir != "/state/bound/dir-web" || got.Static != "/state/static/dir-web" || len(got.Files) != 1 {
			t.Errorf("registered: %+v", got)
		}
	}
	if tree.adds != 1 {
		t.Errorf("added %d times", tree.adds)
	}
	list := reg.list("")
	if len(list) != 1 || list[0].ID != "web" || list[0].InitPID != r.InitPID || list[0].Errors[failure.CauseCgroup] != 3 || !list[0].RegisteredAt.Equal(time.Unix(1000, 0)) {
		t.Errorf("list: %+v", list)
	}
	if after := reg.list("web"); len(after) != 0 {
		t.Errorf("list after web: %+v", after)
	}
}

func TestRegisterConflicts(t *testing.T) {
	reg, tree := newFakeRegistry()
	first, second := livingProcess(t), livingProcess(t)
	owner, other := &session{}, &session{}
	r := Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(first), Owned: true}
	if _, err := reg.register(owner, r); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Registration)
		code   string
	}{
		{"same", func(*Registration) {}, wire.CodeConflict}, // owned by somebody else
		{"same, not owned", func(r *Registration) { r.Owned = false }, ""},
		{"other init", func(r *Registration) { r.InitPID = pidOf(second) }, wire.CodeConflict},
		{"other cgroup", func(r *Registration) { r.Cgroup = cgroupOf(t, "/other") }, wire.CodeConflict},
		{"other choices", func(r *Registration) { r.Owned, r.Choices = false, policy.Choices{"swap": "none"} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := r
			tt.change(&changed)
			if _, err := reg.register(other, changed); codeOf(err) != tt.code {
				t.Errorf("register: %v, want code %q", err, tt.code)
			}
		})
	}
	// A container that is gone gives its name free at once.
	kill(t, first)
	if _, err := reg.register(other, Registration{ID: "web", Cgroup: r.Cgroup, InitPID: pidOf(second)}); err != nil {
		t.Errorf("register after the death of the first: %v", err)
	}
	if tree.adds != 2 || tree.count() != 1 {
		t.Errorf("tree: added %d times, has %d", tree.adds, tree.count())
	}
}

func TestRegisterFails(t *testing.T) {
	living := livingProcess(t)
	dead := livingProcess(t)
	kill(t, dead)
	for _, tt := range []struct {
		name    string
		pid     int
		prepare func(*registry, *fakeTree)
		code    string
	}{
		{"init gone", pidOf(dead), func(*registry, *fakeTree) {}, wire.CodeGone},
		{"cgroup gone", pidOf(living), func(g *registry, _ *fakeTree) {
			g.open = func(cgroupread.Paths) (*cgroupread.Cgroup, error) { return nil, cgroupread.ErrGone }
		}, wire.CodeGone},
		{"cgroup unreadable", pidOf(living), func(g *registry, _ *fakeTree) {
			g.open = func(cgroupread.Paths) (*cgroupread.Cgroup, error) { return nil, errors.New("no") }
		}, wire.CodeInternal},
		{"tree", pidOf(living), func(_ *registry, tree *fakeTree) { tree.fail = errors.New("no") }, wire.CodeInternal},
		{"full", pidOf(living), func(g *registry, _ *fakeTree) { g.max = 0 }, wire.CodeFull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg, tree := newFakeRegistry()
			tt.prepare(reg, tree)
			_, err := reg.register(&session{}, Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: tt.pid, Owned: true})
			if codeOf(err) != tt.code {
				t.Errorf("register: %v, want code %q", err, tt.code)
			}
			if len(reg.entries) != 0 || tree.count() != 0 {
				t.Errorf("left behind: %d entries, %d in the tree", len(reg.entries), tree.count())
			}
		})
	}
}

func TestTidyForgetsTheDead(t *testing.T) {
	reg, tree := newFakeRegistry()
	stays, goes := livingProcess(t), livingProcess(t)
	for id, cmd := range map[string]*exec.Cmd{"stays": stays, "goes": goes} {
		if _, err := reg.register(&session{}, Registration{ID: id, Cgroup: cgroupOf(t, "/"+id), InitPID: pidOf(cmd)}); err != nil {
			t.Fatal(err)
		}
	}
	reg.tidy()
	if tree.count() != 2 {
		t.Fatalf("tidying took a living container: %d left", tree.count())
	}
	kill(t, goes)
	reg.tidy()
	if list := reg.list(""); len(list) != 1 || list[0].ID != "stays" || tree.count() != 1 {
		t.Errorf("after its death: %+v", list)
	}
	// Another process with the dead one's id is not the container.
	reg.entries["stays"].start--
	reg.tidy()
	if list := reg.list(""); len(list) != 0 || tree.count() != 0 {
		t.Errorf("a used-again id counts as the container: %+v", list)
	}
}

func TestUnregister(t *testing.T) {
	reg, tree := newFakeRegistry()
	owner, other := &session{}, &session{}
	cmd := livingProcess(t)
	if _, err := reg.register(owner, Registration{ID: "owned", Cgroup: cgroupOf(t, "/a"), InitPID: pidOf(cmd), Owned: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.register(owner, Registration{ID: "free", Cgroup: cgroupOf(t, "/b"), InitPID: pidOf(cmd)}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		from *session
		id   string
		left int
	}{{other, "nobody", 2}, {other, "owned", 2}, {other, "free", 1}, {other, "free", 1}, {owner, "owned", 0}} {
		reg.unregister(step.from, step.id)
		if n := tree.count(); n != step.left || len(reg.entries) != n {
			t.Errorf("after unregister %s: %d in the tree, %d entries, want %d", step.id, n, len(reg.entries), step.left)
		}
	}
}

// TestRegisterInParallel: whoever comes first, there is one entry per id, and
// the tree never sees two.
func TestRegisterInParallel(t *testing.T) {
	reg, tree := newFakeRegistry()
	pid := pidOf(livingProcess(t))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		cg := cgroupOf(t, "/web")
		wg.Go(func() {
			s := &session{}
			for ctx.Err() == nil {
				id := fmt.Sprintf("c%d", i%3)
				if _, err := reg.register(s, Registration{ID: id, Cgroup: cg, InitPID: pid}); err != nil {
					t.Error(err)
					return
				}
				reg.list("")
				reg.tidy()
				reg.unregister(s, id)
			}
		})
	}
	wg.Wait()
	if tree.count() != 0 || len(reg.entries) != 0 {
		t.Errorf("left behind: %d entries, %d in the tree", len(reg.entries), tree.count())
	}
}
