// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// CVE-2019-5736: a container that overwrites the runtime through a process of
// the runtime that it can see.
func TestProgramCannotBeOverwritten(t *testing.T) {
	before, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	s := prepare(t)
	s.withInit(t)
	s.shell(`readlink /proc/1/exe; for how in '>' '>>' '1<>'; do
			eval "cat /bin/busybox $how /proc/1/exe" 2>/dev/null && echo "overwritten by $how"
		done
		exec 9</proc/1/exe && { cat /bin/busybox >/proc/self/fd/9; } 2>/dev/null && echo overwritten through a descriptor; true`)
	r := s.run(t)
	if r.out != "/memfd:procfs-shim (deleted)\n" {
		t.Errorf("%+v", r)
	}
	after, err := os.ReadFile("/proc/self/exe")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the program changed: %d bytes, then %d, %v", len(before), len(after), err)
	}
}

// CVE-2024-21626: a descriptor that whoever called us left open is a way out.
func TestInheritedDescriptorsStayOutside(t *testing.T) {
	root, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	// Not close-on-exec, and where nobody else's would be.
	fd, err := unix.FcntlInt(root.Fd(), unix.F_DUPFD, 321)
	_ = root.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	for _, init := range []bool{false, true} {
		s := prepare(t)
		if init {
			s.withInit(t)
		}
		s.shell(fmt.Sprintf(`ls /proc/self/fd/%d/ 2>&1; ls /proc/self/fd/ | wc -l; ls /proc/1/fd/%d/ 2>&1 | head -n 1`, fd, fd))
		r := s.run(t)
		if lines := strings.Split(r.out, "\n"); len(lines) != 4 || lines[1] != "4" ||
			!strings.Contains(lines[0], "No such file") || !strings.Contains(lines[2], "No such file") {
			t.Errorf("init=%v: %+v", init, r)
		}
	}
}

// What a container's root can do without CAP_SYS_ADMIN about its masks: nothing.
func TestMasksHold(t *testing.T) {
	s := prepare(t)
	s.shell(`rm -f /dev/null; mkdir -p /x
		mount -t proc p /x 2>/dev/null && echo mounted
		wc -c </proc/keys; wc -c </proc/timer_list
		echo 1 2>/dev/null >/proc/sys/kernel/printk || echo ro`)
	if r := s.run(t); r.out != "0\n0\nro\n" {
		t.Errorf("%+v", r)
	}
}

func TestTimeOffsets(t *testing.T) {
	hostUptime := func() float64 {
		text, err := os.ReadFile("/proc/uptime")
		if err != nil {
			t.Fatal(err)
		}
		return seconds(t, string(text))
	}
	for _, c := range []struct {
		offsets map[string]specs.LinuxTimeOffset
		ahead   float64
	}{
		{map[string]specs.LinuxTimeOffset{}, 0},
		{map[string]specs.LinuxTimeOffset{"boottime": {Secs: 100000}}, 100000},
	} {
		s := prepare(t)
		s.Spec.Linux.TimeOffsets = c.offsets
		s.shell(`cat /proc/uptime`)
		before := hostUptime()
		got := seconds(t, s.run(t).out)
		if got < before+c.ahead-1 || got > hostUptime()+c.ahead+1 {
			t.Errorf("offsets %v: uptime inside %f, host %f before", c.offsets, got, before)
		}
	}
}

// seconds is the first number of /proc/uptime.
func seconds(t *testing.T, text string) float64 {
	t.Helper()
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		t.Fatalf("uptime %q: %v", text, err)
	}
	return n
}

func TestSignalsAreForwarded(t *testing.T) {
	s := prepare(t)
	s.shell(`trap 'echo usr2' USR2; trap 'echo winch' WINCH; echo ready; while :; do sleep 0.05; done`)
	c := s.start(t)
	c.line(t)
	stop := c.ForwardSignals(unix.SIGWINCH)
	defer stop()
	for _, sig := range []unix.Signal{unix.SIGWINCH, unix.SIGUSR2} {
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.line(t); got != "usr2" {
		t.Errorf("%q", got)
	}
}
