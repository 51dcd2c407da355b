// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestExitStatus ends containers in every way.
func TestExitStatus(t *testing.T) {
	p := setup(t)
	for _, status := range []int{0, 7, 255} {
		r := p.sh(t, fmt.Sprintf("exit %d", status))
		if r.status != status || r.out+r.err != "" {
			t.Errorf("exit %d: %+v", status, r)
		}
	}
	p.run(t, "--", "no-such-program").refused(t, 127, "no-such-program", "not found")
	p.run(t, "--", "/no/such/program").refused(t, 127, "/no/such/program", "no such file")
	p.run(t, "--", "/etc/no-program").refused(t, 126, "/etc/no-program", "permission denied")
	p.run(t, "--", "/etc").refused(t, 126, "/etc")
	p.run(t, "--init", "--", "/etc/no-program").refused(t, 126, "/etc/no-program")
	// One that the kernel can't execute: it has the x bit and no format.
	odd := filepath.Join(t.TempDir(), "odd")
	if err := os.WriteFile(odd, []byte("no format"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.run(t, "-v", odd+":/odd", "--", "/odd").refused(t, 126, "/odd", "exec format error")
	// Killed: as PID 1 from outside, below an init by itself.
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGSEGV} {
		if r := p.sh(t, fmt.Sprintf("kill -%d $$", sig), "--init"); r.status != 128+int(sig) {
			t.Errorf("signal %d: %+v", sig, r)
		}
	}
	s := p.shell(t, "killed")
	kill(t, p.statusOf(t, s.name).InitPID)
	if status := s.wait(t); status != 137 || s.errs.String() != "" {
		t.Errorf("SIGKILL: exit status %d, stderr: %s", status, s.errs.String())
	}
}

// TestStandardInput: it is the command's with -i and empty without.
func TestStandardInput(t *testing.T) {
	p := setup(t)
	for _, c := range []struct {
		flags []string
		want  string
	}{{[]string{"--rm", "-i"}, "text"}, {nil, ""}} {
		cmd := p.command(append([]string{"run", "--rootfs", box(t)}, append(c.flags, "--", "cat")...)...)
		cmd.Stdin = strings.NewReader("text")
		finish(t, cmd).is(t, c.want)
	}
	// Both outputs stay apart.
	r := p.sh(t, "echo out; echo err >&2")
	if r.out != "out\n" || r.err != "err\n" || r.status != 0 {
		t.Errorf("%+v", r)
	}
	// What follows the command is its own, flags or not.
	p.run(t, "echo", "-n", "--memory", "--", "x").is(t, "--memory -- x")
}

// TestSignals: run hands on what it gets.
func TestSignals(t *testing.T) {
	p := setup(t)
	signals := map[string]unix.Signal{
		"HUP": unix.SIGHUP, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2, "ALRM": unix.SIGALRM,
	}
	script := "trap 'echo TERM; exit 42' TERM; "
	for name := range signals {
		script += "trap 'echo " + name + "' " + name + "; "
	}
	script += "echo up; while :; do sleep 0.05; done"
	for _, flags := range [][]string{nil, {"--init"}} {
		args := append([]string{"run", "--rootfs", box(t)}, flags...)
		b := p.start(t, append(args, "--", "sh", "-c", script)...)
		b.expect(t, "up")
		for name, sig := range signals {
			b.signal(t, sig)
			b.expect(t, name)
		}
		b.signal(t, unix.SIGTERM)
		b.expect(t, "TERM")
		if status := b.wait(t); status != 42 || b.errs.String() != "" {
			t.Errorf("%v: exit status %d, want its own 42; stderr: %s", flags, status, b.errs.String())
		}
	}
	// Below an init a command without handlers gets the signals' own effect.
	b := p.start(t, "run", "--init", "--rootfs", box(t), "--", "sh", "-c", "echo up; exec sleep 60")
	b.expect(t, "up")
	b.signal(t, unix.SIGTERM)
	if status := b.wait(t); status != 128+15 {
		t.Errorf("exit status %d after SIGTERM", status)
	}
}

// TestInit: an orphan stays a zombie below a command that doesn't look after
// it, and is collected by --init.
func TestInit(t *testing.T) {
	p := setup(t)
	const script = "(sleep 0.01 &); echo up; exec sleep 60"
	// command lines of the container's processes, "" for a zombie
	processes := func(pid int) []string {
		found, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, at := range found {
			if text, err := os.ReadFile(at); err == nil { // else it ended
				lines = append(lines, commandLine(text))
			}
		}
		slices.Sort(lines)
		return lines
	}
	reaches := func(what string, pid int, want ...string) {
		t.Helper()
		var got []string
		if _, ok := poll(patience, func() bool { got = processes(pid); return slices.Equal(got, want) }); !ok {
			t.Errorf("%s: the processes are %q, want %q", what, got, want)
		}
	}
	without := p.start(t, "run", "--name", "without-init", "--rootfs", box(t), "--", "sh", "-c", script)
	without.expect(t, "up")
	pid := p.statusOf(t, "without-init").InitPID
	reaches("without an init", pid, "", "sleep 60")
	with := p.start(t, "run", "--init", "--name", "with-init", "--rootfs", box(t), "--", "sh", "-c", script)
	with.expect(t, "up")
	pid = p.statusOf(t, "with-init").InitPID
	reaches("below an init", pid, commandLine([]byte(file(t, fmt.Sprintf("/proc/%d/cmdline", pid)))), "sleep 60")
	with.signal(t, unix.SIGTERM)
	with.wait(t)
	kill(t, p.statusOf(t, "without-init").InitPID)
	without.wait(t)
}

// commandLine is a cmdline file with blanks between the words.
func commandLine(text []byte) string {
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// TestName: a name is one container's at a time.
func TestName(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "taken")
	p.run(t, "--name", "taken", "--", "true").refused(t, 125, "taken", "in use")
	s.leave(t)
	p.run(t, "--name", "taken", "--", "echo", "free again").is(t, "free again")
	for _, name := range []string{"a/b", "..", ".x", "-x", "x", strings.Repeat("x", 200), "a b", "é"} {
		p.run(t, "--name="+name, "--", "true").refused(t, 125, "--name")
	}
}

// clocks is what a container's files say of time, in seconds.
type clocks struct {
	uptime, btime, now, initStart float64
}

const clockScript = `echo uptime: $(cut -d ' ' -f 1 /proc/uptime)
	echo btime: $(grep ^btime /proc/stat | cut -d ' ' -f 2)
	echo now: $(date +%s); echo start: $(cut -d ' ' -f 22 /proc/1/stat)`

func parseClocks(t *testing.T, text string) clocks {
	t.Helper()
	get := func(key string) float64 {
		t.Helper()
		var v float64
		if _, err := fmt.Sscan(lineOf(t, text, key), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	const ticks = 100 // USER_HZ
	return clocks{get("uptime:"), get("btime:"), get("now:"), get("start:") / ticks}
}

// agree checks that uptime, btime and the start times that ps shows belong to
// the same clock.
func (c clocks) agree(t *testing.T) {
	t.Helper()
	if d := c.btime + c.uptime - c.now; d < -2 || d > 2 {
		t.Errorf("btime and uptime are %v s away from now: %+v", d, c)
	}
	if age := c.uptime - c.initStart; age < -0.1 || age > patience.Seconds() {
		t.Errorf("by ps the first process is %v s old: %+v", age, c)
	}
}

// TestTime: a container's clocks start with it, or are the host's.
func TestTime(t *testing.T) {
	testenv.RequireKernel(t, 5, 6, "time namespaces")
	p := setup(t)
	own := parseClocks(t, p.sh(t, clockScript).text(t))
	own.agree(t)
	if own.uptime > patience.Seconds() || own.initStart > patience.Seconds() {
		t.Errorf("a new container's clocks: %+v", own)
	}
	hosts := parseClocks(t, p.sh(t, clockScript, "--time", "host").text(t))
	hosts.agree(t)
	var uptime float64
	if _, err := fmt.Sscan(file(t, "/proc/uptime"), &uptime); err != nil {
		t.Fatal(err)
	}
	if d := uptime - hosts.uptime; d < 0 || d > patience.Seconds() {
		t.Errorf("--time host: uptime is %v, the host's is %v", hosts.uptime, uptime)
	}
	btime := lineOf(t, file(t, "/proc/stat"), "btime")
	if d := hosts.btime - float64(number(t, btime)); d < -1 || d > 1 {
		t.Errorf("--time host: btime is %v, the host's is %s", hosts.btime, btime)
	}
	p.sh(t, "true", "--time", "tomorrow").refused(t, 125, "--time", "tomorrow")

	// What people type.
	if testenv.InGuest() {
		return // busybox's ps takes its times from sysinfo(2)
	}
	text := p.do(t, "run", "--rootfs", "/", "--", "ps", "-o", "etimes=", "-p", "1").text(t)
	if age := number(t, text); age > int(patience.Seconds()) {
		t.Errorf("ps says that the first process is %d s old", age)
	}
}
