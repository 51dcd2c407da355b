// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/mounts"
)

// ErrUnsupported says that a config asks for something that this runtime
// doesn't do. It is never left out in silence.
var ErrUnsupported = errors.New("not supported")

// Validate says what is wrong with a config, as far as that can be told by
// looking at it alone. All faults are reported, not only the first.
func Validate(s *specs.Spec) error {
	switch {
	case s == nil:
		return errors.New("config: none given")
	case !strings.HasPrefix(s.Version, "1."):
		return fmt.Errorf("config: ociVersion %q: must be 1.x: %w", s.Version, ErrUnsupported)
	case s.Root == nil || s.Root.Path == "":
		return errors.New("config: root: no path")
	case s.Process == nil || len(s.Process.Args) == 0:
		return errors.New("config: process: no arguments")
	case s.Linux == nil:
		return errors.New("config: linux: missing, so there are no namespaces")
	}
	return errors.Join(
		unsupported(s),
		checkProcess(s.Process),
		checkNamespaces(s),
		checkSysctls(s),
		checkMounts(s),
	)
}

// unsupported names every part of the config that nothing here acts on.
func unsupported(s *specs.Spec) error {
	p, l := s.Process, s.Linux
	var failed []error
	for _, part := range []struct {
		name    string
		present bool
	}{
		{"hooks", s.Hooks != nil && len(s.Hooks.Prestart)+len(s.Hooks.CreateRuntime)+len(s.Hooks.CreateContainer)+ //nolint:staticcheck // Prestart is deprecated, not gone
			len(s.Hooks.StartContainer)+len(s.Hooks.Poststart)+len(s.Hooks.Poststop) > 0},
		{"process.apparmorProfile", p.ApparmorProfile != ""},
		{"process.selinuxLabel", p.SelinuxLabel != ""},
		{"process.scheduler", p.Scheduler != nil},
		{"process.ioPriority", p.IOPriority != nil},
		{"process.execCPUAffinity", p.ExecCPUAffinity != nil},
		{"linux.uidMappings", len(l.UIDMappings) > 0},
		{"linux.gidMappings", len(l.GIDMappings) > 0},
		{"linux.seccomp", l.Seccomp != nil},
		{"linux.mountLabel", l.MountLabel != ""},
		{"linux.intelRdt", l.IntelRdt != nil},
		{"linux.memoryPolicy", l.MemoryPolicy != nil},
		{"linux.personality", l.Personality != nil},
		{"linux.netDevices", len(l.NetDevices) > 0},
	} {
		if part.present {
			failed = append(failed, fmt.Errorf("config: %s: %w", part.name, ErrUnsupported))
		}
	}
	return errors.Join(failed...)
}

func checkProcess(p *specs.Process) error {
	var failed []error
	bad := func(format string, args ...any) {
		failed = append(failed, fmt.Errorf("config: process."+format, args...))
	}
	for i, a := range p.Args {
		if strings.ContainsRune(a, 0) {
			bad("args[%d]: contains a zero byte", i)
		}
	}
	for i, v := range p.Env {
		if strings.ContainsRune(v, 0) {
			bad("env[%d]: contains a zero byte", i)
		}
	}
	if !path.IsAbs(p.Cwd) || strings.ContainsRune(p.Cwd, 0) {
		bad("cwd: %q: not an absolute path", p.Cwd)
	}
	// -1 means "leave as it is" to setresuid(2).
	for _, id := range append([]uint32{p.User.UID, p.User.GID}, p.User.AdditionalGids...) {
		if id == ^uint32(0) {
			bad("user: %d is no user or group id", id)
		}
	}
	if a := p.OOMScoreAdj; a != nil && (*a < -1000 || *a > 1000) {
		bad("oomScoreAdj: %d: must be from -1000 to 1000", *a)
	}
	seen := map[string]bool{}
	for _, r := range p.Rlimits {
		_, known := resource(r.Type)
		switch {
		case !known:
			bad("rlimits: %s: no such limit", r.Type)
		case seen[r.Type]:
			bad("rlimits: %s: given twice", r.Type)
		case r.Soft > r.Hard:
			bad("rlimits: %s: the soft limit %d is above the hard limit %d", r.Type, r.Soft, r.Hard)
		}
		seen[r.Type] = true
	}
	return errors.Join(failed...)
}

// cloneFlag is the namespace type's flag; time isn't for clone.
func cloneFlag(kind specs.LinuxNamespaceType) (flag uint64, known bool) {
	switch kind {
	case specs.MountNamespace:
		return unix.CLONE_NEWNS, true
	case specs.PIDNamespace:
		return unix.CLONE_NEWPID, true
	case specs.NetworkNamespace:
		return unix.CLONE_NEWNET, true
	case specs.IPCNamespace:
		return unix.CLONE_NEWIPC, true
	case specs.UTSNamespace:
		return unix.CLONE_NEWUTS, true
	case specs.CgroupNamespace, specs.TimeNamespace:
		// Init unshares the first when it is in its cgroup, the parent's thread
		// the second.
		return 0, true
	case specs.UserNamespace:
		return 0, false
	}
	return 0, false
}

func hasNamespace(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	for _, ns := range s.Linux.Namespaces {
		if ns.Type == kind {
			return true
		}
	}
	return false
}

// namespaceFlags are the clone(2) flags of the config's namespaces.
func namespaceFlags(s *specs.Spec) uint64 {
	var flags uint64
	for _, ns := range s.Linux.Namespaces {
		flag, _ := cloneFlag(ns.Type)
		flags |= flag
	}
	return flags
}

func checkNamespaces(s *specs.Spec) error {
	var failed []error
	bad := func(format string, args ...any) {
		failed = append(failed, fmt.Errorf("config: linux.namespaces: "+format, args...))
	}
	seen := map[specs.LinuxNamespaceType]bool{}
	for _, ns := range s.Linux.Namespaces {
		_, known := cloneFlag(ns.Type)
		switch {
		case ns.Type == specs.UserNamespace:
			bad("user: %w", ErrUnsupported)
		case !known:
			bad("%q: no such type", ns.Type)
		case seen[ns.Type]:
			bad("%s: given twice", ns.Type)
		case ns.Path != "":
			bad("%s: joining %s: %w", ns.Type, ns.Path, ErrUnsupported)
		}
		seen[ns.Type] = true
	}
	if !seen[specs.MountNamespace] {
		bad("mount: missing; without it the container's mounts would be the host's")
	}
	if (s.Hostname != "" || s.Domainname != "") && !seen[specs.UTSNamespace] {
		bad("uts: missing; without it the host's name would be changed")
	}
	if len(s.Linux.TimeOffsets) > 0 && !seen[specs.TimeNamespace] {
		bad("time: missing; timeOffsets need it")
	}
	for clock, o := range s.Linux.TimeOffsets {
		if clock != "monotonic" && clock != "boottime" || o.Nanosecs >= 1e9 {
			bad("timeOffsets: %s: %d s %d ns: must be of monotonic or boottime, with less than 10^9 ns", clock, o.Secs, o.Nanosecs)
		}
	}
	return errors.Join(failed...)
}

// checkSysctls lets only those through that belong to a namespace of the
// container's own; all others would change the host.
func checkSysctls(s *specs.Spec) error {
	var failed []error
	for key := range s.Linux.Sysctl {
		name := strings.ReplaceAll(mounts.SysctlPath(key), "/", ".")
		var needs specs.LinuxNamespaceType
		switch {
		case strings.HasPrefix(name, "net."):
			needs = specs.NetworkNamespace
		case strings.HasPrefix(name, "fs.mqueue."), isIPCSysctl(name):
			needs = specs.IPCNamespace
		case name == "kernel.domainname":
			needs = specs.UTSNamespace
		default:
			failed = append(failed, fmt.Errorf("config: linux.sysctl: %s: belongs to the whole host", key))
			continue
		}
		if !hasNamespace(s, needs) {
			failed = append(failed, fmt.Errorf("config: linux.sysctl: %s: needs a %s namespace", key, needs))
		}
		if strings.Contains(mounts.SysctlPath(key), "..") {
			failed = append(failed, fmt.Errorf("config: linux.sysctl: %q: not a name", key))
		}
	}
	return errors.Join(failed...)
}

func isIPCSysctl(name string) bool {
	switch name {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced":
		return true
	}
	return false
}

func checkMounts(s *specs.Spec) error {
	var failed []error
	for _, m := range s.Mounts {
		if m.Destination == "" || strings.ContainsRune(m.Destination+m.Source, 0) {
			failed = append(failed, fmt.Errorf("config: mounts: %q: not a destination", m.Destination))
			continue
		}
		if err := mounts.CheckOptions(m); err != nil {
			failed = append(failed, fmt.Errorf("config: %w", err))
		}
	}
	for _, d := range s.Linux.Devices {
		if err := mounts.CheckDevice(d); err != nil {
			failed = append(failed, fmt.Errorf("config: %w", err))
		}
	}
	if err := mounts.CheckPropagation(s.Linux.RootfsPropagation); err != nil {
		failed = append(failed, fmt.Errorf("config: %w", err))
	}
	return errors.Join(failed...)
}
