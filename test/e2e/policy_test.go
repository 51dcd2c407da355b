// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// policyStatus is what `status --output json` says of policies.
type policyStatus struct {
	Server struct {
		Version, Mountpoint string
		Policy              struct {
			CPUView string `json:"cpu_view"`
		}
		Choices map[string]string
		Uptime  *int64 `json:"uptime_seconds"`
	}
	Containers []struct {
		ID      string
		InitPID int `json:"init_pid"`
		Files   []string
		Policy  *struct {
			CPUView string `json:"cpu_view"`
		}
		Choices map[string]string
	}
}

func (p *program) policies(t *testing.T) policyStatus {
	t.Helper()
	var s policyStatus
	text := p.do(t, "status", "--output", "json").text(t)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("status: %v in %s", err, text)
	}
	return s
}

// viewOf is the CPU view in force for a container, "" if nobody says so.
func (p *program) viewOf(t *testing.T, id string) string {
	t.Helper()
	for _, c := range p.policies(t).Containers {
		if c.ID == id && c.Policy != nil {
			return c.Policy.CPUView
		}
	}
	return ""
}

// configure writes a configuration file.
func configure(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPolicyOrder: [policy], then [[container]], then the flags of serve, then
// those of run, for containers that see one CPU by their quota and two by their
// cpuset.
func TestPolicyOrder(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	file := filepath.Join(t.TempDir(), "config.toml")
	configure(t, file, `
[policy]
cpu-view = "cpuset"
[[container]]
name = "order-rule*"
engine = "procfs-shim"
cpu-view = "quota"
[[container]]
name = "order-*"
engine = "docker"
cpu-view = "host"
[[container]]
id = "order-few"
files = ["meminfo", "cpuinfo"]
`)
	all := host(t).online
	for _, round := range []struct {
		serve []string
		cases []policyCase
	}{
		{nil, []policyCase{
			{"order-plain", nil, "cpuset", all},
			{"order-rule", nil, "quota", "0"},
			{"order-rule-flag", []string{"--cpu-view", "cpuset"}, "cpuset", all},
			{"order-flag", []string{"--cpu-view=quota"}, "quota", "0"},
			{"order-few", []string{"--cpu-view=quota"}, "quota", all}, // online isn't bound
		}},
		{[]string{"--cpu-view", "quota", "--files", "default"}, []policyCase{
			{"order-plain", nil, "quota", "0"},
			{"order-rule", nil, "quota", "0"},
			{"order-few", nil, "quota", "0"},
			{"order-flag", []string{"--cpu-view=cpuset"}, "cpuset", all},
			{"order-none", []string{"--files", "-cpu/online"}, "quota", all},
		}},
	} {
		s := p.serve(t, append([]string{"--config", file}, round.serve...)...)
		for _, c := range round.cases {
			c.check(t, p)
		}
		s.signal(t, unix.SIGTERM)
		s.wait(t)
	}
}

// policyCase is a container with a quota of one CPU.
type policyCase struct {
	name   string
	flags  []string
	view   string // as status says
	online string // as it sees itself
}

func (c policyCase) check(t *testing.T, p *program) {
	t.Helper()
	s := p.shell(t, c.name, append([]string{"--cpus", "1"}, c.flags...)...)
	if got := s.views(t).online; got != c.online {
		t.Errorf("%s %v sees the CPUs %s, want %s", c.name, c.flags, got, c.online)
	}
	if got := p.viewOf(t, c.name); got != c.view {
		t.Errorf("%s %v: status says %q, want %q", c.name, c.flags, got, c.view)
	}
	s.leave(t)
}

// TestPolicyOwnServer: without a daemon, `run` applies file and flags itself.
func TestPolicyOwnServer(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	file := filepath.Join(t.TempDir(), "config.toml")
	configure(t, file, "[policy]\ncpu-view = 'cpuset'\n[[container]]\nname = 'own-rule'\ncpu-view = 'quota'\n")
	all := host(t).online
	for _, c := range []policyCase{
		{"own-default", nil, "quota", "0"},
		{"own-file", []string{"--config", file}, "cpuset", all},
		{"own-rule", []string{"--config", file}, "quota", "0"},
		{"own-flag", []string{"--config", file, "--cpu-view", "quota"}, "quota", "0"},
	} {
		c.check(t, p)
	}
	if got := p.sh(t, "cat /sys/devices/system/cpu/online; grep -c fuse.procfs-shim /proc/mounts || :", "--cpus", "1", "--files", "none"); got.out != all+"\n0\n" {
		t.Errorf("--files none: %s%s", got.out, got.err)
	}
}

// TestPolicyChanged: mount changes the policy of a container in place, keeps what
// was chosen before, and unmount forgets it.
func TestPolicyChanged(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	p.serve(t)
	cgroup := served.NewCgroup(t, "policy")
	cgroup.SetCPUs(1)
	b, other := newPlain(t, cgroup), newPlain(t, cgroup)
	every := host(t).online
	sees := func(when, online, view string) {
		t.Helper()
		until(t, second(), when+": it sees the CPUs "+online, func() bool { return viewsOf(t, b.pid).online == online })
		if got := p.viewOf(t, "pid-"+b.target()); got != view {
			t.Errorf("%s: status says %q, want %q", when, got, view)
		}
	}
	p.do(t, "mount", b.target(), other.target()).text(t)
	sees("at first", "0", "quota")
	if got := p.do(t, "mount", "--dry-run", "--cpu-view", "cpuset", b.target()).text(t); !strings.Contains(got, "policy\twould be cpu-view=cpuset") {
		t.Errorf("--dry-run: %s", got)
	}
	sees("after --dry-run", "0", "quota")

	covered := mountsOf(t, b.pid)
	if got := p.do(t, "mount", "--cpu-view", "cpuset", b.target()).text(t); !strings.Contains(got, "\tpolicy\tcpu-view=cpuset\n") {
		t.Errorf("mount --cpu-view: %s", got)
	}
	sees("with --cpu-view cpuset", every, "cpuset")
	if got := mountsOf(t, b.pid); got != covered {
		t.Errorf("the mounts changed from\n%s\nto\n%s", covered, got)
	}
	if got := p.viewOf(t, "pid-"+other.target()); got != "quota" {
		t.Errorf("another container's policy is %q", got)
	}
	if text := p.do(t, "status").text(t); !strings.Contains(text, "cpu-view=cpuset") {
		t.Errorf("status as a table:\n%s", text)
	}
	p.do(t, "mount", b.target()).text(t)
	sees("after a mount that says nothing", every, "cpuset")

	// What was chosen goes with the registration.
	p.do(t, "unmount", b.target()).text(t)
	p.do(t, "mount", b.target()).text(t)
	sees("mounted anew", "0", "quota")
}

// TestPolicyFiles: --files says which files a container has.
func TestPolicyFiles(t *testing.T) {
	p := setup(t)
	p.serve(t, "--files", "meminfo,cpuinfo")
	b := newPlain(t, served.NewCgroup(t, "files"))
	for _, step := range []struct {
		args []string
		want map[string]string
		left []string
	}{
		{nil, map[string]string{"/proc/meminfo": "placed", "/proc/cpuinfo": "placed"}, []string{"/proc/cpuinfo", "/proc/meminfo"}},
		{
			[]string{"--files", "meminfo,cpu/online"},
			map[string]string{"policy": "files=meminfo,cpu/online", "/proc/meminfo": "unchanged", "/sys/devices/system/cpu/online": "placed", "/proc/cpuinfo": "removed"},
			[]string{"/proc/meminfo", "/sys/devices/system/cpu/online"},
		},
		{nil, map[string]string{"/proc/meminfo": "unchanged", "/sys/devices/system/cpu/online": "unchanged"}, []string{"/proc/meminfo", "/sys/devices/system/cpu/online"}},
		// A single file besides.
		{[]string{"--file", "cpuinfo"}, map[string]string{"/proc/cpuinfo": "placed"}, []string{"/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu/online"}},
		{
			[]string{"--files", "none"},
			map[string]string{"policy": "files=none", "/proc/meminfo": "removed", "/proc/cpuinfo": "removed", "/sys/devices/system/cpu/online": "removed"},
			[]string{},
		},
	} {
		p.does(t, step.want, append(append([]string{"mount"}, step.args...), b.target())...)
		got := p.statusOf(t, "pid-"+b.target()).Files
		slices.Sort(got)
		if !slices.Equal(got, step.left) {
			t.Errorf("mount %v: covered are %q, want %q", step.args, got, step.left)
		}
	}
	p.do(t, "mount", "--files", "memifo", b.target()).refused(t, 2, "--files", "is it meminfo?")
}

// TestPolicyReload: SIGHUP reads the file again; a bad one is logged and leaves
// things as they are.
func TestPolicyReload(t *testing.T) {
	testenv.RequireCPUs(t, 2)
	p := setup(t)
	file := filepath.Join(t.TempDir(), "config.toml")
	configure(t, file, "")
	s := p.serve(t, "--config", file)
	quiet, chosen := p.shell(t, "reload-quiet", "--cpus", "1"), p.shell(t, "reload-chosen", "--cpus", "1", "--cpu-view", "quota")
	shared := p.shell(t, "reload-shared", "--cpus", "1", "--files", "none", "-v", s.mountpoint+":/lxcfs")
	all := host(t).online
	for _, step := range []struct{ text, quiet string }{
		{"[policy]\ncpu-view = 'cpuset'\n", all},
		{"[policy]\ncpu-view = 'cpuste'\n", all},
		{"", "0"},
	} {
		configure(t, file, step.text)
		s.signal(t, unix.SIGHUP)
		s.reloaded(t)
		if got := quiet.views(t).online; got != step.quiet {
			t.Errorf("after %q: it sees the CPUs %s, want %s", step.text, got, step.quiet)
		}
		if got := shared.ask(t, "cat /lxcfs/sys/devices/system/cpu/online"); got != step.quiet {
			t.Errorf("after %q: in the shared tree the CPUs are %s, want %s", step.text, got, step.quiet)
		}
		if got := chosen.views(t).online; got != "0" {
			t.Errorf("after %q: the one with a policy of its own sees the CPUs %s", step.text, got)
		}
	}
	if log := s.errs.String(); strings.Count(log, "cpuste") != 1 || !strings.Contains(log, file+":2") {
		t.Errorf("log:\n%s", log)
	}
	for _, c := range []*shell{quiet, chosen, shared} {
		c.leave(t)
	}
	st := p.policies(t)
	if st.Server.Mountpoint != s.mountpoint || st.Server.Version == "" || st.Server.Uptime == nil || st.Server.Policy.CPUView != "quota" {
		t.Errorf("status: %+v", st.Server)
	}
}

// reloaded waits until the service manager was told of a reload.
func (s *server) reloaded(t *testing.T) {
	t.Helper()
	b := make([]byte, 100)
	var told []string
	for deadline := time.Now().Add(patience); len(told) < 2; time.Sleep(5 * time.Millisecond) {
		n, err := unix.Read(s.notify, b)
		if err == nil {
			told = append(told, string(b[:n]))
		}
		if time.Now().After(deadline) {
			t.Fatalf("told %q; stderr: %s", told, s.errs.String())
		}
	}
	if !strings.HasPrefix(told[0], "RELOADING=1\nMONOTONIC_USEC=") || told[1] != "READY=1" {
		t.Errorf("the service manager is told %q", told)
	}
}

// TestBadConfig: nothing is made or mounted, and the message says where.
func TestBadConfig(t *testing.T) {
	p := setup(t)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	configure(t, bad, "[policy]\n\ncpu-veiw = 'quota'\n")
	where := bad + ":3: policy.cpu-veiw"
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"serve", "--config", bad, filepath.Join(dir, "shared")}, 1},
		{[]string{"run", "--config", bad, "--rootfs", box(t), "--", "true"}, 125},
		{[]string{"mount", "--config", bad, "web"}, 1},
		{[]string{"unmount", "--config", bad, "web"}, 1},
		{[]string{"status", "--config", bad}, 1},
		{[]string{"config", "check", bad}, 1},
	} {
		p.do(t, c.args...).refused(t, c.status, where, "is it cpu-view?")
	}
	for _, path := range []string{p.state, p.data, filepath.Join(dir, "shared")} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
	p.do(t, "serve", "--config", filepath.Join(dir, "none.toml"), filepath.Join(dir, "shared")).refused(t, 1, "none.toml", "no such file")

	configure(t, bad, "log-level = 1\n[policy]\nswap = 'x'\n")
	r := p.do(t, "config", "check", bad)
	if r.status != 1 || r.out != "" || strings.Count(r.err, "procfs-shim: "+bad+":") != 2 {
		t.Errorf("two errors: status %d, %s%s", r.status, r.out, r.err)
	}
	configure(t, bad, "[policy]\nswap = 'none'\n")
	p.do(t, "config", "check", bad).is(t, bad+": ok")
}

// TestConfigPlaces: the file says where the server is, to all commands.
func TestConfigPlaces(t *testing.T) {
	p := setup(t)
	dir := filepath.Dir(p.state)
	file, shared := filepath.Join(dir, "config.toml"), filepath.Join(dir, "of-the-file")
	configure(t, file, "state-dir = '"+p.state+"'\nmountpoint = '"+shared+"'\nlog-level = 'error'\n")
	s := begin(t, exec.Command(p.path, "serve", "--config", file))
	s.patience = 0 // it doesn't read
	until(t, patience, "the server answers", func() bool {
		return strings.Contains(finish(t, exec.Command(p.path, "status", "--config", file)).text(t), "shared tree at "+shared)
	})
	readWithin(t, patience, shared+"/proc/meminfo")
	s.signal(t, unix.SIGTERM)
	if status := s.wait(t); status != 0 || s.errs.String() != "" {
		t.Errorf("exit status %d, stderr: %s", status, s.errs.String())
	}
}
