// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

// TestTargets names containers well, badly and not at all.
func TestTargets(t *testing.T) {
	p := setup(t)
	p.do(t, "mount", "web").refused(t, 1, "procfs-shim serve")
	p.do(t, "mount", "--all").refused(t, 1, "procfs-shim serve")
	p.serve(t)
	web := p.shell(t, "e2e-web")
	db := p.shell(t, "e2e-db")
	for _, command := range []string{"mount", "unmount"} {
		p.do(t, command, "e2e-none").refused(t, 1, `"e2e-none"`, "no such container", "e2e-web", "e2e-db")
		p.do(t, command, "e2e-").refused(t, 1, `"e2e-"`, "ambiguous", "e2e-web", "e2e-db")
		// Too short to be the beginning of an id.
		p.do(t, command, "e2e").refused(t, 1, `"e2e"`, "no such container")
		p.do(t, command, "0").refused(t, 1, "0", "PID")
		p.do(t, command, "99999999").refused(t, 1, "99999999", "PID")
		p.do(t, command, "--all", "--exclude", "e2e-none").refused(t, 1, "--exclude", "e2e-none")
		// One bad name, and nothing is done to the good ones.
		p.do(t, command, "e2e-web", "e2e-none").refused(t, 1, "e2e-none")
	}
	if c := p.statusOf(t, "e2e-web"); c.State != "healthy" {
		t.Errorf("status: %+v", c)
	}
	// A process of the host's own mount namespace can't be covered apart.
	p.do(t, "mount", fmt.Sprint(os.Getpid())).refused(t, 1, fmt.Sprint(os.Getpid()), "host's mounts")

	p.does(t, all("removed"), "unmount", "e2e-w") // the beginning of an id
	p.does(t, all("unchanged"), "unmount", "e2e-web")
	p.does(t, all("placed"), "mount", "e2e-web")
	n := len(usual())
	two := p.do(t, "unmount", "e2e-web", "e2e-db").text(t)
	if strings.Count(two, "e2e-web\t") != n || strings.Count(two, "e2e-db\t") != n || strings.Count(two, "\tremoved") != 2*n {
		t.Errorf("unmount of two: %s", two)
	}
	web.leave(t)
	db.leave(t)
}

// TestAll covers every container but those excluded. What is not the test's
// own is excluded, too.
func TestAll(t *testing.T) {
	p := setup(t)
	p.serve(t)
	web, db := p.shell(t, "all-web"), p.shell(t, "all-db")
	b := newPlain(t, served.NewCgroup(t, "not-meant"))
	// What isn't the test's is excluded as it is now: other tests' containers may
	// come and go.
	with := func(args ...string) string {
		t.Helper()
		for _, c := range p.status(t).Containers {
			if c.ID != web.name && c.ID != db.name {
				args = append(args, "--exclude", c.ID)
			}
		}
		return p.do(t, args...).text(t)
	}
	n := len(usual())
	if got := with("unmount", "--all", "--exclude", db.name); strings.Count(got, "\tremoved") != n || strings.Contains(got, db.name) {
		t.Errorf("unmount --all --exclude %s: %s", db.name, got)
	}
	dry := with("mount", "--all", "--dry-run", "--file", "meminfo")
	for _, name := range []string{web.name, db.name} {
		if strings.Count(dry, name+"\t/proc/meminfo\twould be covered") != 1 {
			t.Errorf("--dry-run doesn't speak of %s: %s", name, dry)
		}
	}
	if c := p.statusOf(t, web.name); c.State != "uncovered" {
		t.Errorf("status after --dry-run: %+v", c)
	}
	got := with("mount", "--all")
	if strings.Count(got, web.name+"\t") != n || strings.Count(got, "\tplaced") != n || strings.Contains(got, "pid-") {
		t.Errorf("mount --all: %s", got)
	}
	if again := with("mount", "--all"); strings.Count(again, "\tunchanged") != 2*n {
		t.Errorf("mount --all again: %s", again)
	}
	// A process of no engine is none of all.
	if got := mountsOf(t, b.pid); strings.Contains(got, " /proc/meminfo ") {
		t.Errorf("a plain process was covered:\n%s", got)
	}
	web.leave(t)
	db.leave(t)
	if got := with("mount", "--all"); got != "" {
		t.Errorf("mount --all without containers: %s", got)
	}
}

// TestNestingWarning: where a nested procfs could be mounted before, mount says
// that it can't be now, and status remembers it.
func TestNestingWarning(t *testing.T) {
	p := setup(t)
	p.serve(t)
	const warning = "rootless containers"
	open := p.shell(t, "nest-open", "--security-opt", "systempaths=unconfined")
	masked := p.shell(t, "nest-masked")
	for _, s := range []*shell{open, masked} {
		p.does(t, all("removed"), "unmount", s.name)
	}
	if r := p.do(t, "mount", masked.name); r.status != 0 || r.err != "" {
		t.Errorf("the engine's masks forbid it already: %s", r.err)
	}
	if r := p.do(t, "mount", "--dry-run", open.name); r.status != 0 || !strings.Contains(r.err, warning) || !strings.Contains(r.err, open.name) {
		t.Errorf("mount --dry-run: status %d, stderr: %s", r.status, r.err)
	}
	if r := p.do(t, "mount", open.name); r.status != 0 || strings.Count(r.err, warning) != 1 {
		t.Errorf("mount: status %d, stderr: %s", r.status, r.err)
	}
	if r := p.do(t, "mount", open.name); r.status != 0 || r.err != "" {
		t.Errorf("the second mount warns again: %s", r.err)
	}
	if c := p.statusOf(t, open.name); !c.NestingLost {
		t.Errorf("status: %+v", c)
	}
	if c := p.statusOf(t, masked.name); c.NestingLost {
		t.Errorf("status: %+v", c)
	}
	if text := p.do(t, "status").text(t); strings.Count(text, warning) != 1 {
		t.Errorf("status:\n%s", text)
	}
	p.do(t, "unmount", open.name).text(t)
	if c := p.statusOf(t, open.name); c.NestingLost {
		t.Errorf("status after unmount: %+v", c)
	}
	open.leave(t)
	masked.leave(t)
}

// TestUncovered: what the views can't reach is counted.
func TestUncovered(t *testing.T) {
	p := setup(t)
	p.serve(t)
	s := p.shell(t, "uncovered", "--cap-add", "SYS_ADMIN")
	p.does(t, all("removed"), "unmount", s.name)
	// One descriptor from before, and one process with a /proc of its own.
	s.ask(t, "exec 7</proc/meminfo; unshare -m sh -c 'echo; exec sleep 60' >/tmp/ready & until [ -s /tmp/ready ]; do :; done")
	p.does(t, all("placed"), "mount", s.name)
	c := p.statusOf(t, s.name)
	if c.ProcessesElsewhere != 1 || c.HeldOpen < 1 {
		t.Errorf("status: %+v", c)
	}
	if text := p.do(t, "status").text(t); !strings.Contains(text, "opened before") || !strings.Contains(text, "a /proc of their own") {
		t.Errorf("status:\n%s", text)
	}
	s.ask(t, "exec 7<&-; kill %1; wait")
	s.leave(t)
}
