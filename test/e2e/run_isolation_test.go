// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// showMasked prints what docker's masked paths show.
const showMasked = `for f in /proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats \
		/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap \
		/sys/devices/system/cpu/cpu*/thermal_throttle; do
	[ -e $f ] || continue
	if [ -d $f ]; then ls -A $f; touch $f/new 2>/dev/null && echo $f can be written; else head -c 10 $f; fi
done; :`

// TestMasks looks at what a container must not see or write.
func TestMasks(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "masked")
	if shown := s.ask(t, showMasked); shown != "" {
		t.Errorf("masked paths show %q", shown)
	}
	// Mounts over /proc and /sys, and whether they can be written.
	for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/bus", "/proc/irq", "/proc/fs"} {
		if _, err := os.Stat(path); err != nil {
			continue // this kernel hasn't it
		}
		if got := s.ask(t, "grep ' "+path+" ' /proc/mounts | cut -d ' ' -f 4 | cut -c 1-3"); got != "ro," {
			t.Errorf("%s is mounted %q", path, got)
		}
	}
	for _, script := range []string{
		"echo x >/proc/sys/kernel/domainname", "echo b >/proc/sysrq-trigger", "mkdir /sys/fs/cgroup/new",
		"echo 1 >/sys/kernel/profiling", "echo x >/proc/meminfo", "echo x >/proc/cpuinfo", "echo x >/sys/devices/system/cpu/online",
	} {
		if text, status := s.try(t, script); status == 0 {
			t.Errorf("%s: done: %s", script, text)
		}
	}
	s.leave(t)
	open := p.shell(t, "open", "--security-opt", "systempaths=unconfined")
	open.ask(t, "! grep -E ' /proc/(sys|kcore|keys) ' /proc/mounts && echo ok >/proc/sys/kernel/domainname && grep ok /proc/sys/kernel/domainname")
	open.leave(t)
}

// TestDevices looks at /dev.
func TestDevices(t *testing.T) {
	p := setup(t)
	s := p.shell(t, "devices")
	for name, number := range map[string]string{"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"} {
		if got := s.ask(t, "stat -c %t:%T:%a /dev/"+name); got != number+":666" {
			t.Errorf("/dev/%s is %s", name, got)
		}
	}
	s.ask(t, `echo into >/dev/null; [ "$(head -c 4 /dev/zero | wc -c)" = 4 ]; [ "$(head -c 4 /dev/urandom | wc -c)" = 4 ]
		[ "$(readlink /dev/stdin)" = /proc/self/fd/0 ] && [ "$(readlink /dev/ptmx)" = pts/ptmx ] && [ "$(readlink /dev/fd)" = /proc/self/fd ]`)
	for _, at := range []string{"/dev/pts devpts", "/dev/shm tmpfs", "/dev/mqueue mqueue", "/sys sysfs", "/proc proc"} {
		s.ask(t, "grep -q ' "+at+" ' /proc/mounts")
	}
	s.ask(t, "echo x >/dev/shm/x && rm /dev/shm/x")
	// A node of any device can be made; the host's disks and memory can't be opened.
	if text, status := s.try(t, "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem"); status == 0 {
		t.Errorf("the host's memory was read: %q", text)
	}
	s.leave(t)
}

// TestNamespaces compares the container's namespaces with the host's.
func TestNamespaces(t *testing.T) {
	p := setup(t)
	own := []string{"mnt", "pid", "uts", "ipc", "cgroup", "net", "time"}
	links := func(text string) map[string]string {
		m := map[string]string{}
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, ":")
			m[name] = strings.TrimSpace(line)
		}
		return m
	}
	script := "for n in mnt pid uts ipc cgroup net time user; do readlink /proc/self/ns/$n; done"
	here := map[string]string{}
	for _, n := range append(own, "user") {
		link, err := os.Readlink("/proc/self/ns/" + n)
		if err != nil {
			t.Fatal(err)
		}
		here[n] = link
	}
	inside := links(p.sh(t, script).text(t))
	for _, n := range own {
		if inside[n] == here[n] || inside[n] == "" {
			t.Errorf("the %s namespace is %q, the host's is %q", n, inside[n], here[n])
		}
	}
	if inside["user"] != here["user"] {
		t.Errorf("a user namespace of its own: %q", inside["user"])
	}
	shared := links(p.sh(t, script, "--network", "host", "--time", "host").text(t))
	for _, n := range []string{"net", "time"} {
		if shared[n] != here[n] {
			t.Errorf("--network host --time host: the %s namespace is %q, not the host's %q", n, shared[n], here[n])
		}
	}
}

// TestNetwork looks at the interfaces of both kinds of network.
func TestNetwork(t *testing.T) {
	p := setup(t)
	p.sh(t, "ls /sys/class/net; cat /sys/class/net/lo/flags; ping -c 1 -W 5 127.0.0.1 >/dev/null && echo answers").is(t, "lo\n0x9\nanswers")
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	p.sh(t, "ls /sys/class/net; hostname", "--network", "host").is(t, strings.Join(append(names, hostname), "\n"))
}

// TestCapabilities reads the sets that flags make.
func TestCapabilities(t *testing.T) {
	p := setup(t)
	const docker = 0xa80425fb
	const sysTime, netAdmin, chown = 1 << 25, 1 << 12, 1 << 0
	all := lineOf(t, file(t, "/proc/self/status"), "CapPrm:")
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, fmt.Sprintf("%016x", docker)},
		{[]string{"--cap-add", "SYS_TIME", "--cap-drop", "chown"}, fmt.Sprintf("%016x", (docker|sysTime)&^chown)},
		{[]string{"--cap-drop", "ALL"}, fmt.Sprintf("%016x", 0)},
		{[]string{"--cap-drop", "ALL", "--cap-add", "CAP_NET_ADMIN"}, fmt.Sprintf("%016x", netAdmin)},
		// What the caller itself hasn't can't be given.
		{[]string{"--cap-add", "ALL"}, all},
	} {
		text := p.sh(t, "grep ^Cap /proc/self/status", c.flags...).text(t)
		for _, set := range []string{"CapEff:", "CapPrm:", "CapBnd:"} {
			if got := lineOf(t, text, set); got != c.want {
				t.Errorf("%v: %s %s, want %s", c.flags, set, got, c.want)
			}
		}
		if got := lineOf(t, text, "CapAmb:"); strings.Trim(got, "0") != "" {
			t.Errorf("%v: CapAmb: %s", c.flags, got)
		}
	}
	if got := p.sh(t, "grep ^CapEff /proc/self/status", "--user", "1000").text(t); fields(got)[1] != fmt.Sprintf("%016x", 0) {
		t.Errorf("another user than root has %s", got)
	}
	p.sh(t, "chown 1 /tmp", "--cap-drop", "CHOWN").fails(t, 1, "not permitted")
	if got := p.sh(t, "grep NoNewPrivs /proc/self/status").text(t); fields(got)[1] != "0" {
		t.Error(got)
	}
	if got := p.sh(t, "grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges").text(t); fields(got)[1] != "1" {
		t.Error(got)
	}
}

// TestNoNewPrivileges executes a set-user-id program with and without it.
func TestNoNewPrivileges(t *testing.T) {
	p := setup(t)
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte(file(t, "/proc/self/exe")), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(program, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]string{"no-new-privileges:false": "1000 0", "no-new-privileges": "1000 1000"} {
		p.do(t, "run", "--rootfs", "/", "--user", "1000", "-v", program+":"+toolPath, "--security-opt", option,
			"--", toolPath, partUser).is(t, want)
	}
}

// TestUser runs as users that the container knows and doesn't.
func TestUser(t *testing.T) {
	p := setup(t)
	const who = "echo $(id -u):$(id -g):$(id -G | tr ' ' ,):$HOME"
	for user, want := range map[string]string{
		"": "0:0:0:/root", "app": "1000:1000:1000,2000:/home/app", "1000:nogroup": "1000:65534:65534:/home/app", "12:34": "12:34:34:/",
	} {
		p.sh(t, who, "--user", user).is(t, want)
	}
	p.sh(t, "true", "--user", "stranger").refused(t, 125, "--user", "stranger")
	p.sh(t, "true", "--user", "app:strangers").refused(t, 125, "--user", "strangers")
}

// TestProcess looks at directory, environment and name.
func TestProcess(t *testing.T) {
	p := setup(t)
	if got := fields(p.sh(t, "pwd; hostname").text(t)); len(got) != 2 || got[0] != "/" || len(got[1]) != 12 || strings.Trim(got[1], "0123456789abcdef") != "" {
		t.Errorf("directory and name without flags: %q", got)
	}
	const look = "pwd; touch here && ls -ld . | cut -c 1-10; hostname; cat /proc/sys/kernel/hostname; env"
	cmd := p.command("run", "--rootfs", box(t), "-w", "/new/deep/place", "-h", "box.example",
		"-e", "GIVEN=a b=c", "-e", "HANDED_ON", "-e", "NOT_THERE", "-e", "EMPTY=", "-e", "GIVEN2=first", "-e", "GIVEN2=second",
		"--", "sh", "-c", look)
	cmd.Env = append(os.Environ(), "HANDED_ON=from here", "KEPT_BACK=secret")
	text := finish(t, cmd).text(t) + "\n"
	if want := "/new/deep/place\ndrwxr-xr-x\nbox.example\nbox.example\n"; !strings.HasPrefix(text, want) {
		t.Errorf("directory and name: %q, want %q", text, want)
	}
	for _, line := range []string{"GIVEN=a b=c", "HANDED_ON=from here", "EMPTY=", "GIVEN2=second", "HOME=/root", "HOSTNAME=box.example"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no %q in the environment:\n%s", line, text)
		}
	}
	for _, line := range []string{"KEPT_BACK", "NOT_THERE", "first", "TERM="} {
		if strings.Contains(text, line) {
			t.Errorf("%q in the environment:\n%s", line, text)
		}
	}
}
