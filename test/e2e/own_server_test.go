// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// second is how long something that must happen within a second may take; an
// emulated machine's seconds are longer.
func second() time.Duration {
	if testenv.InGuest() {
		return 10 * time.Second
	}
	return time.Second
}

// ours lists the processes that have come since before: those of `run`, its
// server and its container.
func ours(t *testing.T, before testenv.Snapshot) map[string]string {
	t.Helper()
	now, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(now[testenv.Processes], func(key, _ string) bool {
		_, was := before[testenv.Processes][key]
		return was
	})
	return now[testenv.Processes]
}

// TestStoppedRun stops and continues `run`: neither its container nor a reader
// from outside notices.
func TestStoppedRun(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "stopped", "--memory", "256m")
	outside := fmt.Sprintf("/proc/%d/root/proc/meminfo", p.statusOf(t, s.name).InitPID)
	for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGTSTP} {
		s.signal(t, sig)
		if sig == unix.SIGSTOP {
			until(t, patience, "run stops", func() bool { return stateOf(t, s.Process.Pid) == "T" })
		}
		for range 5 {
			if got := memTotal(t, s.ask(t, "cat /proc/meminfo")); got != 262144 {
				t.Errorf("inside: %d kB", got)
			}
			if got := memTotal(t, readWithin(t, 5*time.Second, outside)); got != 262144 {
				t.Errorf("from outside: %d kB", got)
			}
		}
		s.signal(t, unix.SIGCONT)
	}
	s.leave(t)
}

// stateOf is the letter that ps shows.
func stateOf(t *testing.T, pid int) string {
	t.Helper()
	text := file(t, fmt.Sprintf("/proc/%d/stat", pid))
	return fields(text[strings.LastIndexByte(text, ')')+1:])[0]
}

// TestOwnServer looks at the server of one `run`.
func TestOwnServer(t *testing.T) {
	p := setup(t)
	before, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	s := p.shell(t, "served")
	all := ours(t, before)
	servers := 0
	for key, what := range all {
		if !strings.Contains(what, "own-server") {
			continue
		}
		servers++
		pid := number(t, fields(key)[0])
		session, err := unix.Getsid(pid)
		if err != nil {
			t.Fatal(err)
		}
		if session != pid {
			t.Errorf("the server is in session %d, not in one of its own", session)
		}
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(mounts), "fuse.procfs-shim") {
			t.Error("the server has a mount of its own tree: it could wait for itself")
		}
	}
	if servers != 1 {
		t.Errorf("%d servers serve one container: %v", servers, all)
	}
	s.leave(t)
	until(t, second(), "the server ends with the container", func() bool { return len(ours(t, before)) == 0 })
}

// TestKilledRun kills `run`: its container and its server end within a second,
// and the next start removes the rest.
func TestKilledRun(t *testing.T) {
	p := setup(t)
	// Processes of every kind: in the background, of a session of its own, of
	// another user, stopped, ignoring what can be ignored.
	const script = `sleep 60 & setsid sleep 60 & su app -c 'exec sleep 60' & sh -c 'kill -STOP $$; sleep 60' &
		sh -c "trap '' HUP TERM INT; while :; do cat /proc/meminfo >/dev/null; done" &`
	for _, flags := range [][]string{nil, {"--init"}, {"--memory", "64m", "--cpus", "1", "--read-only", "--tmpfs", "/tmp"}} {
		before, err := testenv.Take()
		if err != nil {
			t.Fatal(err)
		}
		s := p.shell(t, "killed", flags...)
		s.ask(t, script)
		there := slices.Collect(maps.Values(ours(t, before)))
		if len(there) < 8 {
			t.Fatalf("only these run: %q", there)
		}
		s.signal(t, unix.SIGKILL)
		var left map[string]string
		took, ok := poll(second(), func() bool { left = ours(t, before); return len(left) == 0 })
		if !ok {
			t.Errorf("%v: %v after run was killed there are %q", flags, took, left)
		}
		t.Logf("%v: all gone after %v", flags, took)
		s.wait(t)
		s.in.Close()
		if _, err := os.Stat(p.state + "/containers/killed"); err != nil {
			t.Errorf("no record of the killed: %v", err)
		}
		// Nothing but what is on record may be there, and that goes.
		p.run(t, "--name", "killed", "--", "echo", "next").text(t)
		p.nothingLeft(t)
		if leaks, err := before.Settled(); err != nil || len(leaks) > 0 {
			t.Errorf("%v: left after one more run: %v\n%s", flags, err, testenv.Report(leaks))
		}
	}
}

// TestKilledRunOfDaemon: the daemon ends the container of a killed `run`.
func TestKilledRunOfDaemon(t *testing.T) {
	p := setup(t)
	p.serve(t)
	before, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	s := p.shell(t, "killed")
	s.ask(t, "setsid sleep 60 &")
	s.signal(t, unix.SIGKILL)
	until(t, second(), "the container's processes end", func() bool { return len(ours(t, before)) == 0 })
	s.wait(t)
	s.in.Close()
	p.run(t, "--name", "killed", "--", "true").text(t)
	if leaks, err := before.Settled(); err != nil || len(leaks) > 0 {
		t.Errorf("left after one more run: %v\n%s", err, testenv.Report(leaks))
	}
}
