// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() *Report {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	r := New(now, &wire.Server{
		Version: "v1.2.3", PID: 99, StartedAt: now.Add(-90 * time.Minute), Mountpoint: "/var/lib/procfs-shim", Config: "/etc/procfs-shim/config.toml",
		Policy: view.Policy{CPUView: view.CPUViewCPUSet}, Files: []string{"proc/meminfo"}, Choices: policy.Choices{"cpu-view": "cpuset"},
		Containers: 2, Errors: map[fusefs.Cause]uint64{failure.CauseReader: 3, failure.CauseCgroupGone: 1},
	})
	as := Container{Label: "web", ID: "3f2a", Name: "web", Engine: "docker", InitPID: 4711, Cgroup: "/docker/3f2a", State: "healthy", Files: []string{"/proc/meminfo"}}
	as.Register(wire.Status{Policy: view.Policy{CPUView: view.CPUViewCPUSet}})
	other := Container{
		Label: "db", ID: "db", Engine: "lxc", InitPID: 12, Cgroup: "/lxc/db", State: "stale", Files: []string{"/proc/meminfo", "/proc/stat"},
		ProcessesElsewhere: 2, HeldOpen: 1, NestingLost: true,
	}
	other.Register(wire.Status{
		Policy: view.Policy{Swap: view.SwapNone}, Choices: policy.Choices{"swap": "none", "cpu-view": "quota"},
		Errors: map[fusefs.Cause]uint64{failure.CauseCgroupGone: 1},
	})
	r.Containers = append(r.Containers, as, other,
		Container{Label: "unknown", ID: "unknown", InitPID: 13, Cgroup: "/x", State: "stale", Files: []string{"/proc/meminfo"}},
		Container{Label: "none", ID: "none", InitPID: 14, Cgroup: "/y", State: "uncovered", Files: []string{}})
	return r
}

func TestGolden(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table.txt":     func(b *bytes.Buffer) error { return sample().WriteTable(b) },
		"report.json":   func(b *bytes.Buffer) error { return sample().WriteJSON(b) },
		"no-server.txt": func(b *bytes.Buffer) error { return New(time.Time{}, nil).WriteTable(b) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestColumns: no field of the table has a blank in it, whatever the policy, so
// that scripts can split lines.
func TestColumns(t *testing.T) {
	r := sample()
	for i := range r.Containers {
		r.Containers[i].Policy = &view.Policy{Swap: view.SwapNone, HostCounters: true, MemoryHigh: true}
		r.Containers[i].Engine = "docker"
	}
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines[:1+len(r.Containers)] {
		if got := len(strings.Fields(line)); got != 7 {
			t.Errorf("%d fields: %q", got, line)
		}
	}
}

// TestDocumented: docs/STATUS.md has every key of the JSON.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/STATUS.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sample().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(out.Bytes(), &whole); err != nil {
		t.Fatal(err)
	}
	var missing []string
	var look func(any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				if !strings.Contains(string(doc), "`"+key+"`") {
					missing = append(missing, key)
				}
				if key != "errors" && key != "choices" && key != "policy" {
					look(below)
				}
			}
		case []any:
			for _, below := range v {
				look(below)
			}
		}
	}
	look(whole)
	slices.Sort(missing)
	if missing = slices.Compact(missing); len(missing) > 0 {
		t.Errorf("docs/STATUS.md doesn't have %q", missing)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWriteFails(t *testing.T) {
	if err := sample().WriteTable(broken{}); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("table: %v", err)
	}
	if err := sample().WriteJSON(broken{}); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("JSON: %v", err)
	}
}
