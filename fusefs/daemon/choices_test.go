// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// TestPolicyInForce: rules, then the container's own choices; what is chosen
// again changes in place, what isn't stays.
func TestPolicyInForce(t *testing.T) {
	reg, tree := newFakeRegistry()
	reg.setRules(policy.Rules{
		Policy:     policy.Choices{"swap": "none"},
		Containers: []policy.Rule{{Match: policy.Match{Name: "web"}, Choices: policy.Choices{"cpu-view": "cpuset", "files": "none"}}},
	})
	r := Registration{ID: "id", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(livingProcess(t))}
	web := policy.Subject{Engine: "docker", ID: "id", Name: "web"}
	for _, step := range []struct {
		name      string
		container policy.Subject
		choices   policy.Choices
		want      view.Policy
		files     []string
	}{
		{"no rule", policy.Subject{Name: "db"}, nil, view.Policy{Swap: view.SwapNone}, []string{"proc/meminfo"}},
		{"renamed: a rule", web, nil, view.Policy{Swap: view.SwapNone, CPUView: view.CPUViewCPUSet}, []string{}},
		{"a choice over the rule", web, policy.Choices{"cpu-view": "host"}, view.Policy{Swap: view.SwapNone, CPUView: view.CPUViewHost}, []string{}},
		{"nothing more", policy.Subject{}, nil, view.Policy{Swap: view.SwapNone, CPUView: view.CPUViewHost}, []string{}},
		{"another choice", web, policy.Choices{"files": "all", "memory-high": "true"}, view.Policy{Swap: view.SwapNone, CPUView: view.CPUViewHost, MemoryHigh: true}, []string{"proc/meminfo"}},
		{"back to the default", web, policy.Choices{"cpu-view": "quota", "swap": "limit"}, view.Policy{MemoryHigh: true}, []string{"proc/meminfo"}},
	} {
		r.Container, r.Choices = step.container, step.choices
		got, err := reg.register(&session{}, r)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got.Policy != step.want || !slices.Equal(got.Files, step.files) || got.Files == nil {
			t.Errorf("%s: answered %+v, want %+v and %q", step.name, got, step.want, step.files)
		}
		if p := tree.policyOf("id"); p != step.want {
			t.Errorf("%s: the tree has %+v, want %+v", step.name, p, step.want)
		}
		list := reg.list("")
		if len(list) != 1 || list[0].Policy != step.want || !slices.Equal(list[0].Files, step.files) {
			t.Errorf("%s: list %+v", step.name, list)
		}
	}
	if tree.adds != 1 {
		t.Errorf("added %d times", tree.adds)
	}
	// Other rules come through where nothing was chosen.
	reg.setRules(policy.Rules{Flags: policy.Choices{"cpu-view": "host", "uptime": "host"}})
	if got, want := tree.policyOf("id"), (view.Policy{MemoryHigh: true, Uptime: view.WhoseHost}); got != want {
		t.Errorf("after other rules: %+v, want %+v", got, want)
	}
	// A registration that ends takes its choices along.
	reg.unregister(&session{}, "id")
	r.Choices = nil
	if got, err := reg.register(&session{}, r); err != nil || got.Policy != (view.Policy{CPUView: view.CPUViewHost, Uptime: view.WhoseHost}) {
		t.Errorf("registered anew: %+v, %v", got, err)
	}
}

// TestRulesInParallel: whatever comes in between, the tree has in the end what
// the last rules say.
func TestRulesInParallel(t *testing.T) {
	reg, tree := newFakeRegistry()
	pid := pidOf(livingProcess(t))
	for round := range 50 {
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, value := range []string{"none", "limit", "none"} {
				reg.setRules(policy.Rules{Policy: policy.Choices{"swap": value}})
			}
		})
		for range 2 {
			cg := cgroupOf(t, "/web")
			wg.Go(func() {
				if _, err := reg.register(&session{}, Registration{ID: "web", Cgroup: cg, InitPID: pid}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := tree.policyOf("web"); got.Swap != view.SwapNone {
			t.Fatalf("round %d: %+v", round, got)
		}
		reg.unregister(&session{}, "web")
	}
}

func TestAboutServer(t *testing.T) {
	ctl, _, dir := startControl(t)
	ctl.self = wire.Server{Version: "v1", PID: 7, Mountpoint: "/m", Config: "/c"}
	ctl.unlocated = func() map[fusefs.Cause]uint64 {
		return map[fusefs.Cause]uint64{"reader-unknown": 2, "cgroup-unreadable": 1}
	}
	ctl.reg.setRules(policy.Rules{Policy: policy.Choices{"swap": "none"}, Flags: policy.Choices{"files": "none"}})
	client := dial(t, dir)
	if _, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(livingProcess(t))}); err != nil {
		t.Fatal(err)
	}
	got, err := client.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "v1" || got.PID != 7 || got.Mountpoint != "/m" || got.Config != "/c" || got.Containers != 1 ||
		got.Policy != (view.Policy{Swap: view.SwapNone}) || got.Files == nil || len(got.Files) != 0 ||
		got.Errors["reader-unknown"] != 2 || got.Errors["cgroup-unreadable"] != 4 {
		t.Errorf("server: %+v", got)
	}
}

// TestReload: good rules are applied, bad ones are logged and change nothing; the
// service manager is told each time.
func TestReload(t *testing.T) {
	var log bytes.Buffer
	var told []string
	answers := []error{nil, errors.New("config.toml:3: no"), nil}
	ctx, cancel := context.WithCancel(t.Context())
	c := Config{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Notify: func(state string) {
			told = append(told, strings.SplitN(state, "=", 2)[0])
			if len(answers) == 0 && state == "READY=1" {
				cancel()
			}
		},
		Reload: func() (policy.Rules, error) {
			err := answers[0]
			answers = answers[1:]
			return policy.Rules{Policy: policy.Choices{"swap": "none"}}, err
		},
	}
	applied := 0
	hangups := make(chan os.Signal, 3)
	for range 3 {
		hangups <- unix.SIGHUP
	}
	c.reload(ctx, hangups, func(policy.Rules) { applied++ })
	if applied != 2 || strings.Count(log.String(), "config.toml:3") != 1 || strings.Count(log.String(), "swap=none") != 2 {
		t.Errorf("applied %d times; log:\n%s", applied, log.String())
	}
	if want := []string{"RELOADING", "READY", "RELOADING", "READY", "RELOADING", "READY"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

// TestByInit: a container keeps the id that the server knows it by, loses it when
// it has moved, and what resolve answers register does.
func TestByInit(t *testing.T) {
	_, tree, dir := startControl(t)
	client := dial(t, dir)
	r := Registration{ID: "first", Cgroup: cgroupOf(t, "/a"), InitPID: pidOf(livingProcess(t)), Choices: policy.Choices{"swap": "none"}}
	same := func(step string) {
		t.Helper()
		resolved, err := client.ResolveInit(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		got, err := client.RegisterInit(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		if resolved.Dir != "" || resolved.Policy != got.Policy || !slices.Equal(resolved.Files, got.Files) {
			t.Errorf("%s: resolved %+v, registered %+v", step, resolved, got)
		}
	}
	ids := func(step string, want ...string) {
		t.Helper()
		list, err := client.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range list {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: registered are %q, want %q", step, got, want)
		}
	}
	if _, err := client.ResolveInit(t.Context(), r); err != nil || tree.count() != 0 {
		t.Errorf("resolve: %v, %d in the tree", err, tree.count())
	}
	same("first")
	r.ID, r.Choices = "second", policy.Choices{"cpu-view": "host"}
	same("again, by another id")
	ids("again", "first")
	if got := tree.policyOf("first"); got != (view.Policy{Swap: view.SwapNone, CPUView: view.CPUViewHost}) {
		t.Errorf("in the tree: %+v", got)
	}
	r.Cgroup = cgroupOf(t, "/b")
	same("moved")
	ids("moved", "second")
	if err := client.UnregisterInit(t.Context(), r.InitPID); err != nil {
		t.Fatal(err)
	}
	ids("unregistered")
	if err := client.UnregisterInit(t.Context(), r.InitPID); err != nil {
		t.Errorf("unregistered twice: %v", err)
	}
}
