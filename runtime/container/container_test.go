// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
)

func valid() *specs.Spec {
	return &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "/rootfs"},
		Process: &specs.Process{Args: []string{"true"}, Cwd: "/"},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.TimeNamespace},
		}},
	}
}

func TestValidate(t *testing.T) {
	if err := Validate(valid()); err != nil {
		t.Fatal(err)
	}
	bad, score := -1, 2000
	for name, change := range map[string]func(*specs.Spec){
		"ociVersion":     func(s *specs.Spec) { s.Version = "2.0.0" },
		"root":           func(s *specs.Spec) { s.Root = nil },
		"root: no path":  func(s *specs.Spec) { s.Root.Path = "" },
		"process":        func(s *specs.Spec) { s.Process = nil },
		"no arguments":   func(s *specs.Spec) { s.Process.Args = nil },
		"linux":          func(s *specs.Spec) { s.Linux = nil },
		"args[0]":        func(s *specs.Spec) { s.Process.Args = []string{"a\x00"} },
		"env[0]":         func(s *specs.Spec) { s.Process.Env = []string{"A=\x00"} },
		"cwd":            func(s *specs.Spec) { s.Process.Cwd = "tmp" },
		"group id":       func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{^uint32(0)} },
		"oomScoreAdj":    func(s *specs.Spec) { s.Process.OOMScoreAdj = &score },
		"no such limit":  func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_FUN"}} },
		"above the hard": func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}} },
		"RLIMIT_CORE: give": func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_CORE"}}
		},
		"hooks": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/x", Timeout: &bad}}}
		},
		"linux.seccomp":    func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} },
		"uidMappings":      func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} },
		"pid: given twice": func(s *specs.Spec) { s.Linux.Namespaces = append(s.Linux.Namespaces, s.Linux.Namespaces[1]) },
		"no such type":     func(s *specs.Spec) { s.Linux.Namespaces[1].Type = "fun" },
		"joining /x":       func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/x" },
		"user: not":        func(s *specs.Spec) { s.Linux.Namespaces[1].Type = specs.UserNamespace },
		"mount: missing":   func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[1:] },
		"uts: missing":     func(s *specs.Spec) { s.Hostname = "x" },
		"timeOffsets: rea": func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {}} },
		"timeOffsets: boo": func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1e9}}
		},
		"time: missing": func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[:1]
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {}}
		},
		"whole host":        func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "|/x"} },
		"kernel/core_patte": func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel/core_pattern": "|/x"} },
		"needs a ipc":       func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.shmmax": "1"} },
		"not a name":        func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/../kernel/core_pattern": "1"} },
		"mount /x":          func(s *specs.Spec) { s.Mounts = []specs.Mount{{Destination: "/x"}} },
		"not a destination": func(s *specs.Spec) { s.Mounts = []specs.Mount{{Type: "tmpfs"}} },
		"device /dev/x":     func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "q"}} },
		"rootfsPropagation": func(s *specs.Spec) { s.Linux.RootfsPropagation = "shard" },
	} {
		s := valid()
		change(s)
		if err := Validate(s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Validate(nil); err == nil {
		t.Error("no config: no error")
	}
	s := valid()
	s.Linux.Seccomp, s.Process.Cwd = &specs.LinuxSeccomp{}, ""
	err := Validate(s)
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "cwd") {
		t.Errorf("two faults: %v", err)
	}
}

func TestCheckFillsIn(t *testing.T) {
	c := Config{ID: "a", Spec: valid(), Layout: &cgroupread.Layout{}, StateDir: "/s", CgroupPath: "/a", Bundle: "/bundle"}
	c.Spec.Root.Path = "rootfs"
	c.Spec.Mounts = []specs.Mount{{Destination: "/x", Source: "data", Options: []string{"rbind"}}, {Destination: "/y", Source: "tmpfs", Type: "tmpfs"}}
	got, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec.Root.Path != "/bundle/rootfs" || got.Spec.Mounts[0].Source != "/bundle/data" || got.Spec.Mounts[1].Source != "tmpfs" || got.Proc != "/proc" {
		t.Errorf("%+v %+v", got.Spec.Root, got.Spec.Mounts)
	}
	if c.Spec.Root.Path != "rootfs" || c.Spec.Mounts[0].Source != "data" {
		t.Error("the caller's config was changed")
	}
	for name, change := range map[string]func(*Config){
		"container id":        func(c *Config) { c.ID = "../x" },
		"layout":              func(c *Config) { c.Layout = nil },
		"state directory":     func(c *Config) { c.StateDir = "" },
		"cgroup path":         func(c *Config) { c.CgroupPath = "" },
		"root file system: ":  func(c *Config) { c.Spec.Root.Path = "/" },
		"absolute":            func(c *Config) { c.Bundle, c.Spec.Root.Path = "", "rootfs" },
		"source data":         func(c *Config) { c.Bundle, c.Spec.Root.Path = "", "/rootfs" },
		"overlay is mounted ": func(c *Config) { c.Overlay = &rootfs.Overlay{Target: "/else"} },
	} {
		bad := c
		spec := *c.Spec
		root := *c.Spec.Root
		spec.Root, bad.Spec = &root, &spec
		change(&bad)
		if _, err := bad.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 125},
		{unix.ENOENT, 125},
		{&initproc.FailureError{Errno: unix.ENOENT}, 125},
		{&initproc.FailureError{Errno: unix.ENOENT, Exec: true}, 127},
		{fmt.Errorf("x: %w", &initproc.FailureError{Errno: unix.ENOTDIR, Exec: true}), 127},
		{&initproc.FailureError{Errno: unix.EACCES, Exec: true}, 126},
		{&initproc.FailureError{Errno: unix.ENOEXEC, Exec: true}, 126},
	} {
		if got := ExitStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestClockOffsets(t *testing.T) {
	for d, want := range map[time.Duration]specs.LinuxTimeOffset{
		0:                              {},
		time.Nanosecond:                {Nanosecs: 1},
		-time.Nanosecond:               {Secs: -1, Nanosecs: 999999999},
		-1500 * time.Millisecond:       {Secs: -2, Nanosecs: 500000000},
		-2 * time.Second:               {Secs: -2},
		100*time.Hour + 5*time.Second:  {Secs: 360005},
		-100*time.Hour - 5*time.Second: {Secs: -360005},
	} {
		if got := offsetOf(d); got != want {
			t.Errorf("%v: %+v, want %+v", d, got, want)
		}
	}
	got, err := parseOffsets("monotonic           0         0\nboottime          -10 500000000\n")
	if err != nil || got["monotonic"] != 0 || got["boottime"] != -9500*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"monotonic", "monotonic x 0\n", "monotonic 1\n"} {
		if got, err := parseOffsets(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	text, err := clockOffsets("/nowhere", map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5, Nanosecs: 6}})
	if err != nil || text != "boottime 5 6\n" {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := clockOffsets("/nowhere", map[string]specs.LinuxTimeOffset{}); err != nil || text != "" {
		t.Errorf("no offsets: %q, %v", text, err)
	}
}

func TestSealedProgram(t *testing.T) {
	sealed, err := sealedProgram("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sealed.Close() }()
	want, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(sealed, 0, 1<<40))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("copy has %d bytes, the program %d, %v", len(got), len(want), err)
	}
	if _, err := sealed.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, want EPERM", err)
	}
	if err := sealed.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("truncate: %v, want EPERM", err)
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", sealed.Fd()), os.O_RDWR, 0)
	if err == nil {
		defer func() { _ = again.Close() }()
		if _, err := again.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("write after opening again: %v, want EPERM", err)
		}
	}
}

func TestRaiseLimits(t *testing.T) {
	var warned []string
	warn := func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	got, err := raiseLimits(os.Getpid(), []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 10, Hard: 20}}, warn)
	if err != nil || len(got) != 1 || got[0].Cur != 10 || got[0].Max != 20 || len(warned) > 0 {
		t.Errorf("%+v, %v, %q", got, err, warned)
	}
	var after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &after); err != nil || after != now {
		t.Errorf("limit of the process changed from %+v to %+v, %v", now, after, err)
	}
	// Above the kernel's own bound nobody may go, privileged or not.
	got, err = raiseLimits(os.Getpid(), []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1 << 40, Hard: 1 << 50}}, warn)
	if err != nil || got[0].Max != now.Max || got[0].Cur != now.Max || len(warned) != 1 {
		t.Errorf("%+v, %v, %q", got, err, warned)
	}
}
