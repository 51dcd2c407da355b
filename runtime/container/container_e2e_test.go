// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/container"
)

func TestRunsCommand(t *testing.T) {
	s := prepare(t)
	s.shell(`echo out; echo err >&2; exit 42`)
	if r := s.run(t); r != (result{"out\n", "err\n", 42}) {
		t.Errorf("got %+v", r)
	}
}

func TestNamespaces(t *testing.T) {
	s := prepare(t)
	s.shell(`for n in mnt pid uts ipc net cgroup time; do readlink /proc/self/ns/$n; done; hostname; echo $$; cat /proc/self/cgroup`)
	r := s.run(t)
	lines := strings.Split(r.out, "\n")
	for i, n := range []string{"mnt", "pid", "uts", "ipc", "net", "cgroup", "time"} {
		host, err := os.Readlink("/proc/self/ns/" + n)
		if err != nil {
			t.Fatal(err)
		}
		if lines[i] == host || lines[i] == "" {
			t.Errorf("%s namespace: %q inside, %q outside", n, lines[i], host)
		}
	}
	if lines[7] != "box" || lines[8] != "1" {
		t.Errorf("hostname %q, PID %q", lines[7], lines[8])
	}
	for _, line := range lines[9:] {
		if line != "" && !strings.HasSuffix(line, ":/") {
			t.Errorf("cgroup seen inside: %q, want the root of the namespace", line)
		}
	}
}

func TestLoopbackIsUp(t *testing.T) {
	s := prepare(t)
	s.shell(`cat /sys/class/net/lo/flags; ls /sys/class/net`)
	if r := s.run(t); r.out != "0x9\nlo\n" {
		t.Errorf("network inside: %q", r.out)
	}
}

func TestClocksStartWithContainer(t *testing.T) {
	s := prepare(t)
	s.shell(`cat /proc/uptime`)
	r := s.run(t)
	up, err := strconv.ParseFloat(strings.Fields(r.out)[0], 64)
	if err != nil || up < 0 || up > 10 {
		t.Errorf("uptime inside: %q, want about 0", r.out)
	}
}

func TestExitStatuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"own status":          {[]string{"sh", "-c", "exit 3"}, 3},
		"killed by a signal":  {[]string{"sh", "-c", "sh -c 'kill -9 $$'; exit $?"}, 137},
		"not found":           {[]string{"no-such-command"}, 127},
		"not found, by path":  {[]string{"/bin/no-such"}, 127},
		"a directory":         {[]string{"/etc"}, 126},
		"not executable":      {[]string{"/etc/data"}, 126},
		"not a program":       {[]string{"/bin/garbage"}, 126},
		"no interpreter":      {[]string{"/bin/script"}, 127},
		"below a file":        {[]string{"/etc/data/x"}, 127},
		"empty name":          {[]string{""}, 127},
		"not in PATH, denied": {[]string{"data"}, 126},
	} {
		for _, init := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/init=%v", name, init), func(t *testing.T) {
				s := prepare(t)
				if init {
					s.withInit(t)
				}
				s.Spec.Process.Env = []string{"PATH=/bin:/etc"}
				for path, mode := range map[string]os.FileMode{"etc/data": 0o644, "bin/garbage": 0o755, "bin/script": 0o755} {
					text := "\x00\x01\x02"
					if path == "bin/script" {
						text = "#!/no/such/interpreter\n"
					}
					if err := os.WriteFile(s.Spec.Root.Path+"/"+path, []byte(text), mode); err != nil {
						t.Fatal(err)
					}
				}
				s.Spec.Process.Args = c.args
				r, err := s.try(t)
				got := r.status
				if err != nil {
					got = container.ExitStatus(err)
				}
				if got != c.want {
					t.Errorf("status %d, %v, want %d", got, err, c.want)
				}
			})
		}
	}
}

func TestEnvironmentAndDirectory(t *testing.T) {
	s := prepare(t)
	s.Spec.Process.Cwd = "/new/dir"
	s.Spec.Process.Env = append(s.Spec.Process.Env, "X=a b", "Y=")
	s.shell(`pwd; env | sort; umask`)
	if r := s.run(t); r.out != "/new/dir\nPATH=/usr/bin:/bin\nPWD=/new/dir\nSHLVL=1\nX=a b\nY=\n0022\n" {
		t.Errorf("got %q", r.out)
	}
}

func TestUserAndCapabilities(t *testing.T) {
	s := prepare(t)
	s.shell(`cat /proc/self/status; id -u; id -g; id -G`)
	r := s.run(t)
	// The 14 capabilities of the test's config.
	if got := field(r.out, "CapEff:"); got != "00000000a80425fb" {
		t.Errorf("effective capabilities %s", got)
	}
	if got := field(r.out, "CapBnd:"); got != "00000000a80425fb" {
		t.Errorf("bounding set %s", got)
	}

	s = prepare(t)
	s.Spec.Process.User.UID, s.Spec.Process.User.GID = 1000, 1001
	s.Spec.Process.User.AdditionalGids = []uint32{7, 8}
	umask := uint32(0o077)
	s.Spec.Process.User.Umask = &umask
	s.Spec.Process.NoNewPrivileges = true
	s.shell(`cat /proc/self/status; id -u; id -g; id -G; umask; echo x >/dev/stdout`)
	r = s.run(t)
	if !strings.HasSuffix(r.out, "\n1000\n1001\n1001 7 8\n0077\nx\n") {
		t.Errorf("user inside: %q %q", r.out, r.err)
	}
	for key, want := range map[string]string{
		"CapEff:": "0000000000000000", "CapPrm:": "0000000000000000", "CapBnd:": "00000000a80425fb", "CapAmb:": "0000000000000000",
		"NoNewPrivs:": "1", "Uid:": "1000\t1000\t1000\t1000", "Gid:": "1001\t1001\t1001\t1001",
	} {
		if got := field(r.out, key); got != want {
			t.Errorf("%s %q, want %q", key, got, want)
		}
	}

	s = prepare(t)
	s.Spec.Process.User.UID = 1000
	net := []string{"CAP_NET_BIND_SERVICE"}
	c := s.Spec.Process.Capabilities
	c.Permitted, c.Effective, c.Inheritable, c.Ambient = net, net, net, net
	s.shell(`cat /proc/self/status`)
	r = s.run(t)
	if got := field(r.out, "CapEff:") + field(r.out, "CapAmb:"); got != "00000000000004000000000000000400" {
		t.Errorf("ambient capability for a user: %s", got)
	}
}

// This machine's root lacks CAP_SYS_RESOURCE; and no kernel knows the other.
func TestUngrantableCapabilityIsAWarning(t *testing.T) {
	s := prepare(t)
	s.Spec.Process.Capabilities.Bounding = append(s.Spec.Process.Capabilities.Bounding, "CAP_FROM_THE_FUTURE")
	s.run(t)
	if !strings.Contains(s.log.String(), "CAP_FROM_THE_FUTURE") {
		t.Errorf("log: %q", s.log.String())
	}
}

func TestSignals(t *testing.T) {
	for _, init := range []bool{false, true} {
		t.Run(fmt.Sprintf("init=%v", init), func(t *testing.T) {
			s := prepare(t)
			if init {
				s.withInit(t)
			}
			s.shell(`trap 'echo term; exit 7' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done`)
			c := s.start(t)
			if got := c.line(t); got != "ready" {
				t.Fatal(got)
			}
			for _, step := range []struct {
				sig  unix.Signal
				want string
			}{{unix.SIGUSR1, "usr1"}, {unix.SIGTERM, "term"}} {
				if err := c.Signal(step.sig); err != nil {
					t.Fatal(err)
				}
				if got := c.line(t); got != step.want {
					t.Errorf("after %v: %q", step.sig, got)
				}
			}
			if status, err := c.Wait(t.Context()); err != nil || status != 7 {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
}

// Without a PID 1 of ours the command is PID 1 and ignores what it has no
// handler for; with it the command dies of it.
func TestDefaultActionNeedsInit(t *testing.T) {
	s := prepare(t)
	s.withInit(t)
	s.shell(`echo ready; exec sleep 1000`)
	c := s.start(t)
	c.line(t)
	if err := c.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Wait(t.Context()); err != nil || status != 128+15 {
		t.Errorf("status %d, %v, want 143", status, err)
	}
}

func TestInitReapsOrphans(t *testing.T) {
	s := prepare(t)
	s.withInit(t)
	// Each inner shell's sleep is orphaned to PID 1 and has to be collected.
	s.shell(`for i in 1 2 3 4 5; do sh -c 'sleep 0.01 & exit'; done
		n=0; while ps -o stat,comm | grep sleep; do n=$((n+1)); [ $n -gt 200 ] && echo zombies && exit 1; sh -c ''; done
		cat /proc/1/status`)
	r := s.run(t)
	if r.status != 0 {
		t.Errorf("%+v", r)
	}
	if got := field(r.out, "CapEff:"); got != "00000000a80425fb" {
		t.Errorf("capabilities of PID 1: %s", got)
	}
}

func TestCgroupLimit(t *testing.T) {
	s := prepare(t)
	s.shell(`cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max
		echo 1 >/sys/fs/cgroup/memory/memory.limit_in_bytes || echo 1 >/sys/fs/cgroup/memory.max || echo readonly`)
	limit := int64(64 << 20)
	s.Spec.Linux.Resources = resources(limit)
	r := s.run(t)
	if !strings.HasPrefix(r.out, "67108864\n") || !strings.HasSuffix(r.out, "readonly\n") {
		t.Errorf("limit inside: %+v", r)
	}
}

// Docker's minimum for -m, with a PID 1 of ours in the same cgroup.
func TestSmallestMemoryLimit(t *testing.T) {
	for _, init := range []bool{false, true} {
		s := prepare(t)
		if init {
			s.withInit(t)
		}
		s.Spec.Linux.Resources = resources(smallest)
		s.shell(`echo lives`)
		if r := s.run(t); r.out != "lives\n" {
			t.Errorf("init=%v: %+v", init, r)
		}
	}
}
