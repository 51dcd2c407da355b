// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package lxcfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/engines"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const patience = 20 * time.Second

// link is the program under LXCFS's name.
func link(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lxcfs")
	if err := os.Symlink(testenv.Binary(t), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the program as lxcfs, with state of its own.
func start(t *testing.T, flags ...string) *engines.LXCFS {
	t.Helper()
	return engines.StartAsLXCFS(t, link(t), flags...)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// memTotal is the first line of a meminfo.
func memTotal(t *testing.T, text string) string {
	t.Helper()
	line, _, found := strings.Cut(text, "\n")
	if !found || !strings.HasPrefix(line, "MemTotal:") {
		t.Fatalf("no meminfo: %.80q", text)
	}
	return line
}

func hostTotal(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	return memTotal(t, string(text))
}

const limitTotal = "MemTotal:         204800 kB"

// TestHook runs LXC's own mount hook, unchanged, with ours in the place where it
// looks for LXCFS's tree.
func TestHook(t *testing.T) {
	testenv.NoLeaks(t)
	ours := start(t, "-l", "--enable-cfs")
	lxc := engines.StartLXC(t)
	lxc.PlaceLXCFS(t, ours)
	c := lxc.Run(t, engines.Options{Name: "hooked", Memory: 200 << 20, Flags: []string{
		"lxc.hook.mount = /usr/share/lxcfs/lxc.mount.hook",
		"lxc.hook.post-stop = /usr/share/lxcfs/lxc.reboot.hook",
	}})
	for _, f := range []string{"/proc/meminfo", "/var/lib/lxcfs/proc/meminfo"} {
		if got := memTotal(t, lxc.Exec(t, c, "cat", f)); got != limitTotal {
			t.Errorf("%s inside: %s", f, got)
		}
	}
	table := lxc.Exec(t, c, "cat", "/proc/mounts")
	for _, place := range []string{"/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu/online", "/var/lib/lxcfs"} {
		if !strings.Contains(table, "lxcfs "+place+" fuse.lxcfs ") {
			t.Errorf("%s isn't covered in\n%s", place, table)
		}
	}
	if got, want := lxc.Exec(t, c, "ls", "/sys/devices/system/cpu/cpu0"), "topology"; !strings.Contains(got, want) {
		t.Errorf("cpu0 inside has %q, not %s", got, want)
	}
}

// TestHookAfterwards: what the hook made of ours is replaced as LXCFS's own is,
// also where the server has died.
func TestHookAfterwards(t *testing.T) {
	testenv.NoLeaks(t)
	ours := start(t)
	lxc := engines.StartLXC(t)
	lxc.PlaceLXCFS(t, ours)
	c := lxc.Run(t, engines.Options{Name: "hooked", Memory: 200 << 20, Flags: []string{"lxc.hook.mount = /usr/share/lxcfs/lxc.mount.hook"}})
	ours.Kill(t)
	dir := t.TempDir()
	serve := exec.Command(testenv.Binary(t), "serve", "--state-dir", dir, filepath.Join(dir, "shared"))
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(serve.Process.Signal(unix.SIGTERM), serve.Wait()); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, "the server answers", func() bool {
		_, err := os.Stat(filepath.Join(dir, "control.sock"))
		return err == nil
	})
	if out, err := run(t, testenv.Binary(t), "mount", "--replace-lxcfs", "--state-dir", dir, c.Name); err != nil || !strings.Contains(out, "/var/lib/lxcfs\treplaced") {
		t.Errorf("mount: %v: %s", err, out)
	}
	if table := lxc.Exec(t, c, "cat", "/proc/mounts"); strings.Contains(table, "fuse.lxcfs") {
		t.Errorf("left: %s", table)
	}
	for _, f := range []string{"/proc/meminfo", "/var/lib/lxcfs/proc/meminfo"} {
		if got := memTotal(t, lxc.Exec(t, c, "cat", f)); got != limitTotal {
			t.Errorf("%s inside: %s", f, got)
		}
	}
	lxc.Exec(t, c, "cat", "/sys/devices/system/cpu/cpu0/topology/core_id")
}

// TestSignals: SIGUSR2 shows the host and again the container, SIGUSR1 is
// survived, and SIGTERM takes mount and pidfile away.
func TestSignals(t *testing.T) {
	testenv.NoLeaks(t)
	ours := start(t)
	docker := engines.StartDocker(t)
	c := docker.Run(t, engines.Options{Name: "bound", Memory: 200 << 20, Flags: []string{
		"-v", filepath.Join(ours.Dir, "proc/meminfo") + ":/proc/meminfo:rw",
	}})
	total := func() string { t.Helper(); return memTotal(t, docker.Exec(t, c, "cat", "/proc/meminfo")) }
	if got := total(); got != limitTotal {
		t.Errorf("at first: %s", got)
	}
	for _, want := range []string{hostTotal(t), limitTotal} {
		ours.Signal(t, unix.SIGUSR2)
		waitFor(t, "SIGUSR2 shows "+want, func() bool { return total() == want })
	}
	ours.Signal(t, unix.SIGUSR1)
	if got := total(); got != limitTotal {
		t.Errorf("after SIGUSR1: %s", got)
	}
	ours.Stop()
	if entries, err := os.ReadDir(ours.Dir); err != nil || len(entries) != 0 {
		t.Errorf("after SIGTERM the mountpoint has %v, %v", entries, err)
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(ours.Dir), "pid")); !os.IsNotExist(err) {
		t.Errorf("the pidfile after SIGTERM: %v", err)
	}
}

// TestOneAtATime: we and LXCFS know one another by the lock on the pidfile.
func TestOneAtATime(t *testing.T) {
	theirs := testenv.RequireTool(t, "lxcfs")
	for _, first := range []string{"LXCFS", "ours"} {
		t.Run("after "+first, func(t *testing.T) {
			testenv.NoLeaks(t)
			var running *engines.LXCFS
			if first == "LXCFS" {
				running = engines.StartLXCFS(t)
			} else {
				running = start(t)
			}
			pidfile := []string{"-p", filepath.Join(filepath.Dir(running.Dir), "pid"), t.TempDir()}
			ours := append([]string{link(t), "--runtime-dir", t.TempDir()}, pidfile...)
			// LXCFS last: where it is refused, it removes the other's pidfile.
			for _, command := range [][]string{ours, append([]string{theirs}, pidfile...)} {
				out, err := run(t, command...)
				if err == nil || !strings.Contains(out, "locked") {
					t.Errorf("%s: %v: %s", command[0], err, out)
				}
			}
			running.Stop()
		})
	}
}

// run runs a command that doesn't stay.
func run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = patience
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestUnit runs the lines of the distribution's own unit, unchanged, where
// /usr/bin/lxcfs is ours: in a mount namespace that has it there, an empty /run,
// and a /var/lib/lxcfs of its own.
func TestUnit(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.RequireTool(t, "lxcfs")
	testenv.NoLeaks(t)
	unit := readUnit(t, "/lib/systemd/system/lxcfs.service")
	script := `mount --make-rprivate / && mount -t tmpfs run /run && mount --bind ` + testenv.Binary(t) + ` /usr/bin/lxcfs && exec ` + unit["ExecStart"]
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	pid := cmd.Process.Pid
	inside := func(command string) (string, error) {
		return run(t, "nsenter", "-m", "-t", strconv.Itoa(pid), "sh", "-c", command)
	}
	waitFor(t, "the unit's server mounts", func() bool {
		out, _ := inside("cat /proc/self/mounts")
		return strings.Contains(out, "lxcfs /var/lib/lxcfs fuse.lxcfs ")
	})
	if out, err := inside("cat /run/lxcfs.pid; head -1 /var/lib/lxcfs/proc/meminfo"); err != nil || !strings.HasPrefix(out, fmt.Sprintln(pid)) || !strings.Contains(out, "MemTotal") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := inside(strings.ReplaceAll(unit["ExecReload"], "$MAINPID", strconv.Itoa(pid))); err != nil {
		t.Errorf("reload: %v: %s", err, out)
	}
	if out, err := inside("sleep 0.2; head -1 /var/lib/lxcfs/proc/meminfo"); err != nil {
		t.Errorf("after the reload: %v: %s", err, out)
	}
	// What the namespace looks like afterwards, somebody has to be in it to see.
	held, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("at SIGTERM: %v", err)
	}
	ended = true
	after := exec.Command("nsenter", "--mount=/proc/self/fd/3", "sh", "-c", strings.TrimPrefix(unit["ExecStopPost"], "-")+"; cat /proc/self/mounts; ls /run")
	after.ExtraFiles = []*os.File{held}
	if out, err := after.CombinedOutput(); err != nil || strings.Contains(string(out), "fuse.lxcfs") || strings.Contains(string(out), "lxcfs.pid") {
		t.Errorf("left: %v: %s", err, out)
	}
}

// readUnit gives the keys of a unit's [Service].
func readUnit(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "[Service]\n")
	keys := map[string]string{}
	for line := range strings.Lines(section) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			keys[key] = value
		}
	}
	for _, key := range []string{"ExecStart", "ExecReload", "ExecStopPost"} {
		if keys[key] == "" {
			t.Fatalf("%s has no %s", path, key)
		}
	}
	return keys
}

// TestCommandLine: all of LXCFS's flags are taken, in both spellings.
func TestCommandLine(t *testing.T) {
	testenv.NoLeaks(t)
	ours := start(t, "-s", "-f", "-d", "-lu", "--enable-pidfd", "--enable-psi-poll", "--disable-zswap", "--disable-swap", "--enable-loadavg",
		"--foreground", "--debug", "-o", "allow_other,nonempty", "--enable-cfs")
	text, err := os.ReadFile(filepath.Join(ours.Dir, "proc/meminfo"))
	if err != nil || !strings.Contains(string(text), "\nSwapTotal:             0 kB\n") {
		t.Errorf("-u: %v\n%s", err, text)
	}
	log := ours.Log(t)
	if n := strings.Count(log, "has no effect"); n != 2 {
		t.Errorf("%d warnings that something has no effect:\n%s", n, log)
	}
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"-h"}, 0, "MOUNTPOINT"},
		{[]string{"--help"}, 0, "--enable-cfs"},
		{[]string{"-v"}, 0, "procfs-shim "},
		{[]string{"--version"}, 0, "procfs-shim "},
		{nil, 2, "accepts 1 arg"},
		{[]string{"a", "b"}, 2, "accepts 1 arg"},
		{[]string{"--dance", "a"}, 2, "--dance"},
		{[]string{"init"}, 1, "/none/lxcfs.pid"}, // a mountpoint, no command of ours
	} {
		out, err := run(t, append([]string{link(t), "--runtime-dir", "/none"}, tt.args...)...)
		status := 0
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			status = failed.ExitCode()
		}
		if status != tt.status || !strings.Contains(out, tt.says) {
			t.Errorf("lxcfs %q ended with %v and said %q", tt.args, err, out)
		}
	}
}
