// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/container"
)

func TestMaskedAndReadonlyPaths(t *testing.T) {
	s := prepare(t)
	s.shell(`for f in /proc/keys /proc/timer_list /proc/kcore; do [ -e $f ] && stat -c '%t:%T %F' $f && wc -c <$f; done
		ls -a /sys/firmware
		echo x >/proc/sys/kernel/hostname || echo ro
		echo x >/proc/irq/default_smp_affinity || echo ro
		touch /sys/firmware/x || echo ro
		touch /sys/x || echo ro
		grep -c 'proc /proc proc' /proc/self/mounts`)
	r := s.run(t)
	var want strings.Builder
	for _, f := range []string{"/proc/keys", "/proc/timer_list", "/proc/kcore"} {
		if _, err := os.Lstat(f); err == nil { // kernels differ
			want.WriteString("1:3 character special file\n0\n")
		}
	}
	want.WriteString(".\n..\nro\nro\nro\nro\n1\n")
	if r.out != want.String() {
		t.Errorf("inside:\n%s\nwant:\n%s\n%s", r.out, want.String(), r.err)
	}
}

func TestDevices(t *testing.T) {
	s := prepare(t)
	mode := os.FileMode(0o640)
	uid := uint32(5)
	s.Spec.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/sub/fuse", Type: "c", Major: 10, Minor: 229, FileMode: &mode, UID: &uid},
		{Path: "/dev/pipe", Type: "p"},
	}
	s.shell(`cd /dev; for f in null zero full random urandom tty sub/fuse pipe; do stat -c '%n %F %t:%T %a %u' $f; done
		for l in fd stdin stdout stderr core ptmx; do echo $l $(readlink $l); done
		echo x >null && head -c 3 zero | wc -c; echo x >full || echo full; ls -d console
		stat -f -c %T shm mqueue pts; stat -c %a shm; echo shm >shm/f && cat shm/f; ls /proc/self/fd | wc -l`)
	r := s.run(t)
	want := `null character special file 1:3 666 0
zero character special file 1:5 666 0
full character special file 1:7 666 0
random character special file 1:8 666 0
urandom character special file 1:9 666 0
tty character special file 5:0 666 0
sub/fuse character special file a:e5 640 5
pipe fifo 0:0 666 0
fd /proc/self/fd
stdin /proc/self/fd/0
stdout /proc/self/fd/1
stderr /proc/self/fd/2
core /proc/kcore
ptmx pts/ptmx
3
full
tmpfs
UNKNOWN
devpts
1777
shm
4
`
	if r.out != want {
		t.Errorf("inside:\n%s\nwant:\n%s\n%s", r.out, want, r.err)
	}
}

func TestRootIsWritableOrNot(t *testing.T) {
	s := prepare(t)
	s.shell(`touch /made && echo rw`)
	if r := s.run(t); r.out != "rw\n" {
		t.Errorf("%+v", r)
	}
	s = prepare(t)
	s.Spec.Root.Readonly = true
	s.Spec.Mounts = append(s.Spec.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=1m", "noexec"}})
	s.shell(`touch /made || echo ro; touch /tmp/made && echo rw; stat -c %a /tmp; grep ' /tmp ' /proc/mounts | grep -c 'noexec.*size=1024k'`)
	if r := s.run(t); r.out != "ro\nrw\n755\n1\n" {
		t.Errorf("%+v", r)
	}
}

func bindMount(src, dst string, options ...string) specs.Mount {
	return specs.Mount{Source: src, Destination: dst, Type: "bind", Options: append([]string{"rbind"}, options...)}
}

func TestVolumes(t *testing.T) {
	s := prepare(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Spec.Mounts = append(s.Spec.Mounts,
		bindMount(dir, "/rw"), bindMount(dir, "/deep/er/ro", "ro"), bindMount(dir, "/rro", "rro", "nosuid"),
		bindMount(filepath.Join(dir, "file"), "/etc/file", "ro"), bindMount(dir, "relative"))
	s.shell(`cat /etc/file /relative/file; echo new >/rw/new; cat /deep/er/ro/new
		touch /deep/er/ro/x || echo ro; touch /rro/x || echo rro; echo x >/etc/file || echo ro
		grep -c ' /rro .*ro,nosuid' /proc/mounts; grep ' /rw ' /proc/self/mountinfo | grep -c 'shared\|master'`)
	r := s.run(t)
	if r.out != "text\ntext\nnew\nro\nrro\nro\n1\n0\n" {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(text) != "new\n" {
		t.Errorf("written through the volume: %q, %v", text, err)
	}
}

// Every failure after the cgroup is made leaves nothing, which prepare checks.
func TestFailedSetUpLeavesNothing(t *testing.T) {
	for name, mount := range map[string]specs.Mount{
		"missing source":     bindMount("/no/such/directory", "/mnt"),
		"file on directory":  bindMount("/etc/passwd", "/etc"),
		"directory on file":  bindMount("/etc", "/bin/busybox"),
		"unknown type":       {Destination: "/mnt", Type: "nosuchfs"},
		"unknown option":     {Destination: "/mnt", Type: "tmpfs", Options: []string{"nosuchoption=1"}},
		"on the root itself": bindMount("/etc", "/"),
		"inside proc":        bindMount("/etc", "/proc/sys"),
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.Spec.Mounts = append(s.Spec.Mounts, mount)
			_, err := s.try(t)
			if err == nil || container.ExitStatus(err) != 125 || !strings.Contains(err.Error(), mount.Destination) {
				t.Errorf("error %v, status %d", err, container.ExitStatus(err))
			}
		})
	}
}

// An image that has a link where a mount goes.
func TestHostileRootfs(t *testing.T) {
	outside := t.TempDir()
	for _, c := range []struct {
		name, link, target string
		mount              specs.Mount
		refused            bool
	}{
		{"proc", "proc", "/tmp", specs.Mount{}, true},
		{"sys", "sys", "/tmp", specs.Mount{}, true},
		{"dev", "dev", "/tmp", specs.Mount{}, true},
		{"dev is the host's by dots", "dev", "../../../../../../../dev", specs.Mount{}, true},
		{"volume below a link to the host", "data", "../../../../../../.." + outside, bindMount("/etc", "/data/made"), true},
		{"volume below an absolute link", "data", outside, bindMount("/etc", "/data/made"), true},
		{"file below a link to the host", "data", outside, bindMount("/etc/passwd", "/data/made"), true},
		{"volume over proc by a link", "data", "/proc", bindMount("/etc", "/data/sys"), true},
		{"file over proc by a link", "data", "/proc/sys/kernel", bindMount("/etc/passwd", "/data/core_pattern"), true},
		{"volume below a link that stays inside", "data", "../../../etc", bindMount("/etc", "/data/made"), false},
		{"link loop", "data", "data", bindMount("/etc", "/data"), true},
		{"directory of a descriptor", "data", "/proc/self/fd", bindMount("/etc", "/data/3"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepare(t)
			if err := os.Symlink(c.target, filepath.Join(s.Spec.Root.Path, c.link)); err != nil {
				t.Fatal(err)
			}
			if c.mount.Source != "" {
				s.Spec.Mounts = append(s.Spec.Mounts, c.mount)
			}
			s.Spec.Process.Args = []string{"true"}
			r, err := s.try(t)
			if (err != nil) != c.refused || err != nil && container.ExitStatus(err) != 125 {
				t.Errorf("%+v, %v; refused is to be %v", r, err, c.refused)
			}
			if names, err := os.ReadDir(outside); err != nil || len(names) != 0 {
				t.Errorf("made on the host: %v %v", names, err)
			}
		})
	}
}

// A masked path that is a link, a fifo where a mount goes: nothing hangs, and
// what is masked is what the link leads to inside.
func TestOddFiles(t *testing.T) {
	s := prepare(t)
	if err := os.Symlink("/etc/secret", filepath.Join(s.Spec.Root.Path, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Spec.Root.Path, "etc/secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(s.Spec.Root.Path, "etc/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Spec.Linux.MaskedPaths = append(s.Spec.Linux.MaskedPaths, "/link", "/etc/fifo", "/bin/busybox/x")
	s.Spec.Mounts = append(s.Spec.Mounts, bindMount("/etc/hostname", "/etc/fifo"))
	s.shell(`wc -c </etc/secret; stat -c %F /etc/fifo`)
	if r := s.run(t); r.out != "0\ncharacter special file\n" {
		t.Errorf("%+v", r)
	}
}

func TestSysctl(t *testing.T) {
	s := prepare(t)
	s.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.shmmni": "123", "net/ipv4/conf/lo/forwarding": "1"}
	s.shell(`cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/net/ipv4/conf/lo/forwarding`)
	if r := s.run(t); r.out != "1\n123\n1\n" {
		t.Errorf("%+v", r)
	}
	s = prepare(t)
	s.Spec.Linux.Sysctl = map[string]string{"net.ipv4.no_such_thing": "1"}
	if _, err := s.try(t); !errors.Is(err, unix.ENOENT) {
		t.Errorf("unknown sysctl: %v", err)
	}
}

// The working directory can't be the way out through a descriptor.
func TestWorkingDirectoryOutside(t *testing.T) {
	for _, fd := range []string{"3", "4", "5", "6", "7", "8", "9", "10"} {
		s := prepare(t)
		s.Spec.Process.Cwd = "/proc/self/fd/" + fd
		r, err := s.try(t)
		if err == nil {
			t.Errorf("started in %s: %+v", s.Spec.Process.Cwd, r)
		}
	}
}

func TestRlimits(t *testing.T) {
	s := prepare(t)
	s.Spec.Process.Rlimits = []specs.POSIXRlimit{
		{Type: "RLIMIT_NOFILE", Soft: 50, Hard: 100},
		{Type: "RLIMIT_CORE", Soft: 0, Hard: 0},
		{Type: "RLIMIT_AS", Soft: 64 << 20, Hard: 64 << 20},
		{Type: "RLIMIT_NPROC", Soft: 1 << 40, Hard: 1 << 40},
	}
	for _, init := range []bool{false, true} {
		if init {
			s = prepare(t)
			s.withInit(t)
			s.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 50, Hard: 100}, {Type: "RLIMIT_AS", Soft: 64 << 20, Hard: 64 << 20}}
		}
		s.shell(`ulimit -S -n; ulimit -H -n; ulimit -v`)
		if r := s.run(t); r.out != "50\n100\n65536\n" {
			t.Errorf("init=%v: %+v", init, r)
		}
	}
}

func TestOOMScore(t *testing.T) {
	s := prepare(t)
	score := 500
	s.Spec.Process.OOMScoreAdj = &score
	s.shell(`cat /proc/self/oom_score_adj`)
	if r := s.run(t); r.out != "500\n" {
		t.Errorf("%+v", r)
	}
	s = prepare(t)
	score = -1000
	s.Spec.Process.OOMScoreAdj = &score
	s.run(t) // a warning where it isn't permitted
}
