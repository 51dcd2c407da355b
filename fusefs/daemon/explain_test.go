// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
)

func TestExplain(t *testing.T) {
	ctl, _, dir := startControl(t)
	client := dial(t, dir)
	pid := pidOf(livingProcess(t))
	if _, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pid}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // an answer of several parts, twice on one connection
		m, err := client.ExplainInit(t.Context(), pid, "proc/meminfo", 0)
		if err != nil {
			t.Fatal(err)
		}
		if m.Snapshot != 7 || m.Held || len(m.Text) != 9000*len("MemTotal:  1 kB\n") || len(m.Inputs) != 3 ||
			string(m.Inputs[0].Text) != "max\n" || m.Inputs[1].Text != nil || m.Inputs[2].Text == nil {
			t.Errorf("%d bytes, %+v", len(m.Text), m.Inputs)
		}
	}
	if m, err := client.Explain(t.Context(), "web", "proc/meminfo", 7); err != nil || !m.Held {
		t.Errorf("a held snapshot: %+v, %v", m, err)
	}
	refused := func(what, code string, err error) {
		t.Helper()
		var e *Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	_, err := client.Explain(t.Context(), "web", "proc/version", 0)
	refused("a file that isn't served", wire.CodeInvalid, err)
	_, err = client.Explain(t.Context(), "db", "proc/meminfo", 0)
	refused("a container that isn't registered", wire.CodeGone, err)
	_, err = client.ExplainInit(t.Context(), os.Getpid(), "proc/meminfo", 0)
	refused("a process that isn't registered", wire.CodeGone, err)
	_, err = client.Explain(t.Context(), "web", "proc/meminfo", 8)
	refused("a snapshot that nobody holds", wire.CodeInvalid, err)

	// The shared tree's snapshots are asked for last.
	ctl.shared = func(id uint64) (fusefs.Explanation, error) {
		if id != 8 {
			return fusefs.Explanation{}, fusefs.ErrNoSnapshot
		}
		return fusefs.Explanation{Snapshot: id, File: "proc/meminfo"}, nil
	}
	for _, id := range []string{"web", "db", ""} {
		if m, err := client.Explain(t.Context(), id, "proc/meminfo", 8); err != nil || m.Snapshot != 8 {
			t.Errorf("a snapshot of the shared tree, for %q: %+v, %v", id, m, err)
		}
	}
	_, err = client.Explain(t.Context(), "", "proc/stat", 8)
	refused("another file's snapshot", wire.CodeInvalid, err)
	s := &session{explained: []byte("x")}
	if _, _, err := ctl.explain(s, wire.Explain{ID: "web", File: "proc/meminfo", Offset: 2}); err == nil {
		t.Error("a part from behind the end")
	}
}
