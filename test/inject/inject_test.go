// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func TestMain(m *testing.M) {
	Main()
	m.Run()
}

// shell runs a script with busybox, whose applets make the system calls that
// their names say.
func shell(t *testing.T, script string, plan Plan) (Report, string) {
	t.Helper()
	busybox := testenv.RequireTool(t, "busybox")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.Command(busybox, "sh", "-c", script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	report, err := Run(ctx, cmd, plan)
	if err != nil {
		t.Fatalf("inject: %v\n%s", err, out.String())
	}
	return report, out.String()
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

const (
	made   = 5
	makeIt = `cd "$0" 2>/dev/null; for i in 1 2 3 4 5; do busybox mkdir "$dir/$i" || exit 3; done`
)

func script(dir string) string { return "dir=" + dir + "; " + makeIt }

func TestCount(t *testing.T) {
	testenv.NoLeaks(t)
	dir := t.TempDir()
	report, said := shell(t, script(dir), Plan{Kinds: []Kind{Mkdir}})
	if report.Total() != made || report.Hit || report.State.ExitCode() != 0 {
		t.Fatalf("%d calls, hit %v, %v:\n%v\n%s", report.Total(), report.Hit, report.State, report.Calls, said)
	}
	for i, call := range report.Calls {
		want := filepath.Join(dir, strconv.Itoa(i+1))
		if call.Kind != Mkdir || call.N != i+1 || !strings.Contains(call.What, want) || call.PID == 0 || call.Command == "" {
			t.Errorf("call %d is not mkdir of %s: %v", i+1, want, call)
		}
	}
}

func TestErrnoAtEach(t *testing.T) {
	testenv.NoLeaks(t)
	for at := 1; at <= made+1; at++ {
		dir := t.TempDir()
		report, said := shell(t, script(dir), Plan{At: at, Action: Errno(unix.ENOSPC), Kinds: []Kind{Mkdir}})
		if at > made {
			if report.Hit || report.State.ExitCode() != 0 {
				t.Errorf("past the end: hit %v, %v", report.Hit, report.State)
			}
			break
		}
		if !report.Hit || report.State.ExitCode() != 3 || !strings.Contains(said, "No space left") {
			t.Errorf("at %d: hit %v, %v, %q", at, report.Hit, report.State, said)
		}
		if n := entries(t, dir); n != at-1 {
			t.Errorf("at %d: %d directories were made", at, n)
		}
	}
}

func TestKillAtEach(t *testing.T) {
	testenv.NoLeaks(t)
	for at := 1; at <= made; at++ {
		dir := t.TempDir()
		report, said := shell(t, script(dir), Plan{At: at, Action: Kill(), Kinds: []Kind{Mkdir}})
		if !report.Hit || report.State.String() != "signal: killed" {
			t.Errorf("at %d: hit %v, %v, %q", at, report.Hit, report.State, said)
		}
		// Where mkdir is an applet in a process of its own, that one still
		// makes its directory after the shell's death.
		n := at - 1
		if last := report.Calls[at-1]; !last.Root {
			n++
		}
		if have := entries(t, dir); have != n {
			t.Errorf("at %d: %d directories, want %d: %v", at, have, n, report.Calls)
		}
	}
}

func TestClonesCountProcessesOnly(t *testing.T) {
	testenv.NoLeaks(t)
	// One after the other, so that no SIGCHLD interrupts a clone.
	report, _ := shell(t, `(exit 0); (exit 0); (exit 0); :`, Plan{Kinds: []Kind{Clone}})
	if report.Total() != 3 {
		t.Errorf("%d process clones: %v", report.Total(), report.Calls)
	}
	// A Go program makes many threads and, with this flag, no process.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	report, err = Run(t.Context(), exec.Command(self, "-test.list", "^$"), Plan{Kinds: []Kind{Clone}})
	if err != nil || report.Total() != 0 || report.State.ExitCode() != 0 {
		t.Errorf("threads were counted: %v %v %v", report.Calls, report.State, err)
	}
}

func TestCreateAndRemove(t *testing.T) {
	dir := t.TempDir()
	report, said := shell(t, "cd "+dir+" && echo x >a && busybox mv a b && busybox rm b && busybox cat /dev/null", Plan{Kinds: []Kind{Create, Remove}})
	var names []string
	for _, call := range report.Calls {
		names = append(names, string(call.Kind))
	}
	if got := strings.Join(names, " "); got != "create create remove" {
		t.Errorf("counted %q: %v\n%s", got, report.Calls, said)
	}
}

func TestOrdinaryWritesDontCount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	report, said := shell(t, "echo text; echo text >"+file, Plan{Kinds: []Kind{CgroupWrite}})
	if report.Total() != 0 || !strings.Contains(said, "text") {
		t.Errorf("%v\n%s", report.Calls, said)
	}
}

func TestContextEndsTheCommand(t *testing.T) {
	testenv.NoLeaks(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	report, err := Run(ctx, exec.Command("sleep", "600"), Plan{})
	if err == nil || report.State == nil || report.State.Success() {
		t.Errorf("%v %v", err, report.State)
	}
}

func TestLingeringIsReported(t *testing.T) {
	testenv.NoLeaks(t)
	// The sleeper ends by itself, soon after it has been reported.
	report, _ := shell(t, "sleep 1 >/dev/null 2>&1 &", Plan{Kinds: []Kind{Mkdir}, Linger: 100 * time.Millisecond})
	if !report.Lingering {
		t.Error("a process that outlives the root process was not noticed")
	}
}

func TestMissingCommand(t *testing.T) {
	if _, err := Run(t.Context(), exec.Command("no-such-command-anywhere"), Plan{}); err == nil {
		t.Error("no error")
	}
}

func TestFilterSize(t *testing.T) {
	filter, err := program(table())
	if err != nil || len(filter) > 4096 { // BPF_MAXINSNS
		t.Errorf("%d instructions: %v", len(filter), err)
	}
	seen := map[uintptr]string{}
	for _, c := range table() {
		if other, twice := seen[c.number]; twice {
			t.Errorf("%s and %s have the same number", other, c.name)
		}
		seen[c.number] = c.name
	}
}
