// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/tools/txtar"
)

func dockerSpec(t *testing.T) *specs.Spec {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/docker.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(archive.Files[0].Data, &spec); err != nil {
		t.Fatal(err)
	}
	return &spec
}

// differences lists where two JSON values differ, as "path: docker → ours".
// Lists are compared as sets, but for the order of mounts.
func differences(path string, docker, ours any, report func(string)) {
	switch d := docker.(type) {
	case map[string]any:
		o, ok := ours.(map[string]any)
		if !ok {
			break
		}
		for key := range d {
			differences(path+"."+key, d[key], o[key], report)
		}
		for key := range o {
			if _, ok := d[key]; !ok {
				report(fmt.Sprintf("%s.%s: → %s", path, key, text(o[key])))
			}
		}
		return
	case []any:
		o, ok := ours.([]any)
		if !ok {
			break
		}
		has := func(list []any, item any) bool {
			for _, i := range list {
				if text(i) == text(item) {
					return true
				}
			}
			return false
		}
		for _, item := range d {
			if !has(o, item) {
				report(fmt.Sprintf("%s: %s →", path, text(item)))
			}
		}
		for _, item := range o {
			if !has(d, item) {
				report(fmt.Sprintf("%s: → %s", path, text(item)))
			}
		}
		return
	}
	if text(docker) != text(ours) {
		report(fmt.Sprintf("%s: %s → %s", path, text(docker), text(ours)))
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// What docker's flags give with docker and with us. The list is the one that
// the package comment explains.
func TestSpecAgainstDocker(t *testing.T) {
	docker := dockerSpec(t)
	host := fakeHost(t, fullV1())
	host.RecursiveReadOnly = false // docker 20.10 has no recursive read-only mounts
	o := &Options{
		ID:   "db13b887fa3f3faef48315594b4318b27f2c3c719093d0ecc447b813bfa00dbe",
		Args: []string{"/bin/sleep", "1000"}, Network: "none",
		Memory: "64m", CPUs: "1.5", Volumes: []string{"/var:/vol:ro"}, Tmpfs: []string{"/scratch"},
	}
	ours, err := o.Spec(host, t.TempDir(), "/merged")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal([]byte(text(docker)), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text(ours)), &b); err != nil {
		t.Fatal(err)
	}
	var got []string
	differences("", a, b, func(s string) { got = append(got, s) })
	want := []string{
		// Namespaces of ours, the time one starting at 0.
		`.linux.namespaces: → {"type":"cgroup"}`,
		`.linux.namespaces: → {"type":"time"}`,
		`.linux.timeOffsets: → {"boottime":{"nanosecs":750000000,"secs":-1001}}`,
		`.linux.cgroupsPath: "/docker/db13b887fa3f3faef48315594b4318b27f2c3c719093d0ecc447b813bfa00dbe" → "/procfs-shim/db13b887fa3f3faef48315594b4318b27f2c3c719093d0ecc447b813bfa00dbe"`,
		// Masked since docker 26 and 28.
		`.linux.maskedPaths: → "/proc/interrupts"`,
		`.linux.maskedPaths: → "/sys/devices/virtual/powercap"`,
		// What runc adds by itself.
		`.linux.resources.devices: → {"access":"m","allow":true,"type":"b"}`,
		`.linux.resources.devices: → {"access":"m","allow":true,"type":"c"}`,
		`.linux.resources.devices: → {"access":"rwm","allow":true,"major":1,"minor":7,"type":"c"}`,
		`.linux.resources.devices: → {"access":"rwm","allow":true,"major":136,"type":"c"}`,
		`.linux.resources.devices: → {"access":"rwm","allow":true,"major":5,"minor":2,"type":"c"}`,
		`.process.env: → "HOME=/"`,
		// Denied after everything was: nothing.
		`.linux.resources.devices: {"access":"rwm","allow":false,"major":10,"minor":229,"type":"c"} →`,
		// Zeros that say nothing.
		`.linux.resources.blockIO: {"weight":0} → null`,
		`.linux.resources.cpu.shares: 0 → null`,
		`.linux.resources.memory.disableOOMKiller: false → null`,
		// Not ours to change.
		`.process.oomScoreAdj: 0 → null`,
		// Files that the engine writes.
		`.mounts: {"destination":"/etc/hostname","options":["rbind","rprivate"],"source":"/containers/hostname","type":"bind"} →`,
		`.mounts: {"destination":"/etc/hosts","options":["rbind","rprivate"],"source":"/containers/hosts","type":"bind"} →`,
		`.mounts: {"destination":"/etc/resolv.conf","options":["rbind","rprivate"],"source":"/containers/resolv.conf","type":"bind"} →`,
		`.ociVersion: "1.0.2-dev" → "` + specs.Version + `"`,
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("differences from docker (-known +got):\n%s", diff)
	}
}

func TestMountOrder(t *testing.T) {
	source := t.TempDir()
	host := fakeHost(t, fullV1())
	o := command(func(o *Options) {
		o.Volumes = []string{source + ":/a/b/c", source + ":/a", source + ":/dev/shm:ro", source + ":/z/y:rslave"}
		o.Tmpfs = []string{"/a/b:size=1m,exec", "/run"}
	})
	spec, err := o.Spec(host, fakeRootfs(t), "/merged")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range spec.Mounts {
		got = append(got, m.Destination+" "+m.Type+" "+strings.Join(m.Options, ","))
	}
	want := []string{
		"/proc proc nosuid,noexec,nodev",
		"/dev tmpfs nosuid,strictatime,mode=755,size=65536k",
		"/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
		"/sys sysfs nosuid,noexec,nodev,ro",
		"/sys/fs/cgroup cgroup ro,nosuid,noexec,nodev",
		"/dev/mqueue mqueue nosuid,noexec,nodev",
		"/a bind rbind,rprivate",
		"/run tmpfs noexec,nosuid,nodev,rprivate",
		"/dev/shm bind rbind,rro,rprivate",
		"/z/y bind rbind,rslave",
		"/a/b tmpfs nosuid,nodev,rprivate,size=1m,exec",
		"/a/b/c bind rbind,rprivate",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestSpecVariants(t *testing.T) {
	host := fakeHost(t, fullV1())
	if err := os.MkdirAll(filepath.Join(host.SysRoot, "devices/system/cpu/cpu0/thermal_throttle"), 0o755); err != nil {
		t.Fatal(err)
	}
	build := func(change func(o *Options)) *specs.Spec {
		t.Helper()
		spec, err := command(change).Spec(host, fakeRootfs(t), "/merged")
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
	has := func(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
		for _, n := range s.Linux.Namespaces {
			if n.Type == kind {
				return true
			}
		}
		return false
	}
	plain := build(func(o *Options) { o.ID = "0123456789abcdef" })
	if plain.Hostname != "0123456789ab" || plain.Process.Terminal || plain.Root.Readonly || plain.Process.NoNewPrivileges {
		t.Errorf("plain = %+v", plain)
	}
	if paths := strings.Join(plain.Linux.MaskedPaths, " "); !strings.Contains(paths, "/sys/devices/system/cpu/cpu0/thermal_throttle") {
		t.Errorf("masked paths = %s", paths)
	}
	s := build(func(o *Options) {
		o.Network, o.Time, o.TTY, o.ReadOnly, o.Workdir = "host", "host", true, true, "/x/../y"
		o.SecurityOpt = []string{"no-new-privileges", "systempaths=unconfined"}
		o.Env = []string{"TERM=vt100", "FROM_CALLER", "NOT_THERE", "A=1", "A=2=3", "HOME=/h", "EMPTY="}
	})
	if has(s, specs.NetworkNamespace) || has(s, specs.TimeNamespace) || s.Linux.TimeOffsets != nil || s.Linux.Sysctl != nil {
		t.Errorf("namespaces with --network host --time host: %+v", s.Linux)
	}
	if s.Hostname != "thehost" || !s.Process.Terminal || !s.Root.Readonly || !s.Process.NoNewPrivileges || s.Process.Cwd != "/y" {
		t.Errorf("spec = %+v, process %+v", s, s.Process)
	}
	if s.Linux.MaskedPaths != nil || s.Linux.ReadonlyPaths != nil {
		t.Error("systempaths=unconfined masks something")
	}
	want := []string{"PATH=" + defaultPath, "HOSTNAME=thehost", "TERM=vt100", "FROM_CALLER=caller's", "A=2=3", "HOME=/h", "EMPTY="}
	if diff := cmp.Diff(want, s.Process.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if env := build(func(o *Options) { o.Env = []string{"PATH"} }).Process.Env; hasEnv(env, "PATH") {
		t.Errorf("--env PATH where the caller has none leaves %v", env)
	}
	host.TimeNS = false
	if s := build(nil); has(s, specs.TimeNamespace) {
		t.Error("a time namespace where the kernel has none")
	}
}

func TestLimits(t *testing.T) {
	p := func(n int64) *int64 { return &n }
	u := func(n uint64) *uint64 { return &n }
	for _, c := range []struct {
		name   string
		host   map[string][]string
		change func(o *Options)
		want   specs.LinuxResources
	}{
		{"none", fullV1(), nil, specs.LinuxResources{}},
		{
			"zeros are none", fullV1(), func(o *Options) {
				o.Memory, o.MemorySwap, o.MemoryReservation, o.CPUs = "0", "0", "0", "0.00"
				o.PidsLimit, o.CPUShares, o.CPUQuota, o.CPUPeriod, o.BlkioWeight = 0, 0, 0, 0, 0
			}, specs.LinuxResources{},
		},
		{
			"memory alone", fullV1(), func(o *Options) { o.Memory = "256m" },
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(256 << 20), Swap: p(512 << 20)}},
		},
		{
			"memory alone without swap accounting", noSwapV1(), func(o *Options) { o.Memory = "256m" },
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(256 << 20)}},
		},
		{
			"memory and swap", fullV1(), func(o *Options) { o.Memory, o.MemorySwap, o.MemoryReservation = "1g", "1.5g", "512M" },
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(1 << 30), Swap: p(3 << 29), Reservation: p(512 << 20)}},
		},
		{
			"unlimited swap", fullV1(), func(o *Options) { o.Memory, o.MemorySwap = "6m", "-1" },
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(6 << 20)}},
		},
		{
			"5 petabytes", fullV1(), func(o *Options) { o.Memory = "5p" },
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(5 << 50), Swap: p(10 << 50)}},
		},
		{
			"CPUs", fullV1(), func(o *Options) { o.CPUs = "1.5" },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(150000), Period: u(100000)}},
		},
		{
			"a hundredth", fullV1(), func(o *Options) { o.CPUs = ".01" },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(1000), Period: u(100000)}},
		},
		{
			"quota and period", fullV1(), func(o *Options) { o.CPUQuota, o.CPUPeriod, o.CPUShares = 20000, 50000, 512 },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(20000), Period: u(50000), Shares: u(512)}},
		},
		{
			"quota above the CPUs", fullV1(), func(o *Options) { o.CPUQuota = 1000000 },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(1000000)}},
		},
		{
			"no quota", fullV1(), func(o *Options) { o.CPUQuota = -1 },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(-1)}},
		},
		{
			"cpuset", fullV1(), func(o *Options) { o.CPUsetCPUs, o.CPUsetMems = "1,0", "0" },
			specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0-1", Mems: "0"}},
		},
		{"unlimited pids", fullV1(), func(o *Options) { o.PidsLimit = -1 }, specs.LinuxResources{}},
		{
			"pids", fullV1(), func(o *Options) { o.PidsLimit = 5 },
			specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p(5)}},
		},
		{
			"weight", fullV1(), func(o *Options) { o.BlkioWeight = 10 },
			specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: func(n uint16) *uint16 { return &n }(10)}},
		},
	} {
		spec, err := command(c.change).Spec(fakeHost(t, c.host), fakeRootfs(t), "/merged")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		spec.Linux.Resources.Devices = nil
		if diff := cmp.Diff(&c.want, spec.Linux.Resources); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCapabilities(t *testing.T) {
	host := fakeHost(t, fullV1())
	all := len(host.Capabilities)
	for _, c := range []struct {
		add, drop []string
		count     int
		has, not  string
	}{
		{nil, nil, 14, "CAP_CHOWN", "CAP_SYS_ADMIN"},
		{[]string{"sys_admin"}, nil, 15, "CAP_SYS_ADMIN", ""},
		{[]string{"CAP_NET_ADMIN", "net_admin"}, []string{"Chown"}, 14, "CAP_NET_ADMIN", "CAP_CHOWN"},
		{[]string{"ALL"}, nil, all, "CAP_SYS_MODULE", ""},
		{[]string{"all"}, []string{"NET_RAW"}, all - 1, "CAP_SYS_MODULE", "CAP_NET_RAW"},
		{nil, []string{"ALL"}, 0, "", "CAP_CHOWN"},
		{[]string{"CHOWN"}, []string{"ALL"}, 1, "CAP_CHOWN", "CAP_KILL"},
		{[]string{"CHOWN"}, []string{"CHOWN"}, 14, "CAP_CHOWN", ""},
	} {
		for _, who := range []string{"", "user"} {
			spec, err := command(func(o *Options) { o.CapAdd, o.CapDrop, o.User = c.add, c.drop, who }).Spec(host, fakeRootfs(t), "/m")
			if err != nil {
				t.Errorf("+%v -%v: %v", c.add, c.drop, err)
				continue
			}
			sets := spec.Process.Capabilities
			list := " " + strings.Join(sets.Bounding, " ") + " "
			if len(sets.Bounding) != c.count || !strings.Contains(list, c.has) || c.not != "" && strings.Contains(list, c.not+" ") {
				t.Errorf("+%v -%v: %d: %s", c.add, c.drop, len(sets.Bounding), list)
			}
			if effective := len(sets.Effective); (who == "") != (effective == c.count) && c.count > 0 || len(sets.Permitted) != effective {
				t.Errorf("+%v -%v as %q: %d effective", c.add, c.drop, who, effective)
			}
			if sets.Inheritable != nil || sets.Ambient != nil {
				t.Errorf("inheritable or ambient capabilities: %+v", sets)
			}
		}
	}
}

func TestMinus(t *testing.T) {
	for _, since := range []time.Duration{0, 1, time.Second, time.Second + 1, 3 * time.Hour, math.MaxInt64} {
		m := minus(since)
		if got := time.Duration(m.Secs)*time.Second + time.Duration(m.Nanosecs); got != -since {
			t.Errorf("minus(%d) = %+v", since, m)
		}
		if m.Nanosecs >= uint32(time.Second) {
			t.Errorf("minus(%d) has %d nanoseconds", since, m.Nanosecs)
		}
	}
}
