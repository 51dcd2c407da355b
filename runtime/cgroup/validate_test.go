// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"math"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func memory(m specs.LinuxMemory) specs.LinuxResources { return specs.LinuxResources{Memory: &m} }
func cpu(c specs.LinuxCPU) specs.LinuxResources       { return specs.LinuxResources{CPU: &c} }

func TestValidateRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		on   string // "v1", "v2" or both
		res  specs.LinuxResources
		want string
	}{
		{"negative memory", "both", memory(specs.LinuxMemory{Limit: ptr[int64](-2)}), "memory.limit: -2"},
		{"swap below memory", "both", memory(specs.LinuxMemory{Limit: ptr[int64](200), Swap: ptr[int64](100)}), "memory.swap: 100"},
		{"swap without memory", "both", memory(specs.LinuxMemory{Swap: ptr[int64](100)}), "without a limit for memory"},
		{"swap with unlimited memory", "both", memory(specs.LinuxMemory{Limit: ptr[int64](-1), Swap: ptr[int64](100)}), "without a limit for memory"},
		{"reservation above memory", "both", memory(specs.LinuxMemory{Limit: ptr[int64](200), Reservation: ptr[int64](300)}), "memory.reservation: 300"},
		{"swappiness too high", "both", memory(specs.LinuxMemory{Swappiness: ptr[uint64](101)}), "not from 0 to 100"},
		{"swappiness on v2", "v2", memory(specs.LinuxMemory{Swappiness: ptr[uint64](10)}), "cgroup v2 has none"},
		{"no OOM killer on v2", "v2", memory(specs.LinuxMemory{DisableOOMKiller: ptr(true)}), "cgroup v2 can't"},
		{"kernel TCP on v2", "v2", memory(specs.LinuxMemory{KernelTCP: ptr[int64](1)}), "cgroup v2 has none"},
		{"no hierarchy", "both", memory(specs.LinuxMemory{UseHierarchy: ptr(false)}), "5.11"},
		{"one share", "both", cpu(specs.LinuxCPU{Shares: ptr[uint64](1)}), "cpu.shares: 1"},
		{"too many shares", "both", cpu(specs.LinuxCPU{Shares: ptr[uint64](262145)}), "cpu.shares: 262145"},
		{"small quota", "both", cpu(specs.LinuxCPU{Quota: ptr[int64](999)}), "minimum of 1 ms"},
		{"negative quota", "both", cpu(specs.LinuxCPU{Quota: ptr[int64](-2)}), "cpu.quota: -2"},
		{"huge quota", "both", cpu(specs.LinuxCPU{Quota: ptr[int64](math.MaxInt64)}), "can count"},
		{"small period", "both", cpu(specs.LinuxCPU{Period: ptr[uint64](999)}), "cpu.period: 999"},
		{"long period", "both", cpu(specs.LinuxCPU{Period: ptr[uint64](1000001)}), "cpu.period: 1000001"},
		{"burst above quota", "both", cpu(specs.LinuxCPU{Quota: ptr[int64](1000), Burst: ptr[uint64](2000)}), "cpu.burst: 2000"},
		{"idle 2", "both", cpu(specs.LinuxCPU{Idle: ptr[int64](2)}), "neither 0 nor 1"},
		{"idle with shares", "both", cpu(specs.LinuxCPU{Idle: ptr[int64](1), Shares: ptr[uint64](100)}), "takes no shares"},
		{"realtime on v2", "v2", cpu(specs.LinuxCPU{RealtimePeriod: ptr[uint64](100)}), "cgroup v2 has none"},
		{"CPU not there", "both", cpu(specs.LinuxCPU{Cpus: "0-4"}), "2-4 not available, this host has 0-1"},
		{"bad CPU list", "both", cpu(specs.LinuxCPU{Cpus: "0,,x"}), "cpu.cpus"},
		{"empty CPU list", "both", cpu(specs.LinuxCPU{Cpus: "\n"}), "cpu.cpus"},
		{"node not there", "both", cpu(specs.LinuxCPU{Mems: "7"}), "cpu.mems"},
		{"small weight", "both", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](9)}}, "not from 10 to 1000"},
		{"leaf weight on v2", "v2", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{LeafWeight: ptr[uint16](10)}}, "no leaf weight"},
		{"weightless device", "both", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{{}}}}, "no weight given"},
		{"negative disk", "both", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: throttleOf(-1, 0, 1)}}, "-1:0"},
		{"page size with a slash", "both", specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "../x"}}}, "not a page size"},
		{"rdma with a blank", "both", specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"a b": {HcaHandles: ptr[uint32](1)}}}, "not a device name"},
		{"rdma without limits", "both", specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"a": {}}}, "neither hcaHandles"},
		{"all devices with numbers", "both", specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "a", Major: ptr[int64](1)}}}, "can't have numbers"},
		{"unknown device type", "both", specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "p"}}}, "not a device type"},
		{"unknown access", "both", specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "c", Access: "rx"}}}, "not an access"},
		{"net_cls on v2", "v2", specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: ptr[uint32](1)}}, "net_cls"},
		{"unified on v1", "v1", specs.LinuxResources{Unified: map[string]string{"memory.high": "1"}}, "cgroup v1's"},
		{"unified path", "v2", specs.LinuxResources{Unified: map[string]string{"../memory.high": "1"}}, "not the name"},
		{"unified without dot", "v2", specs.LinuxResources{Unified: map[string]string{"memory": "1"}}, "not the name"},
		{"unified procs", "v2", specs.LinuxResources{Unified: map[string]string{"cgroup.procs": "1"}}, "the runtime's"},
		{"unified unknown controller", "v2", specs.LinuxResources{Unified: map[string]string{"misc.max": "1"}}, "misc"},
	} {
		for version, makeFake := range map[string]func(*testing.T) *fake{"v1": fakeV1, "v2": fakeV2} {
			if c.on != version && c.on != "both" {
				continue
			}
			f := makeFake(t)
			_, err := create(f.host, fakePath, &c.res, f.system())
			var ve *ValueError
			if !errors.As(err, &ve) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s on %s: %v, want a ValueError saying %q", c.name, version, err, c.want)
			}
			if f.count > 0 || len(f.left()) > 0 {
				t.Errorf("%s on %s: something was made before the value was refused", c.name, version)
			}
		}
	}
}

func TestValidateMissingControllers(t *testing.T) {
	f := newFake(t)
	f.mount("memory", false, []string{"memory"}, map[string]string{"memory.limit_in_bytes": ""}, nil)
	for name, res := range map[string]specs.LinuxResources{
		"cpu":     cpu(specs.LinuxCPU{Quota: ptr[int64](1000)}),
		"cpuset":  cpu(specs.LinuxCPU{Cpus: "0"}),
		"pids":    {Pids: &specs.LinuxPids{Limit: ptr[int64](1)}},
		"io":      {BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](10)}},
		"hugetlb": {HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}}},
		"rdma":    {Rdma: map[string]specs.LinuxRdma{"x": {HcaHandles: ptr[uint32](1)}}},
		"devices": {Devices: []specs.LinuxDeviceCgroup{{Allow: false}}},
	} {
		if err := Validate(&res, f.host); !errors.Is(err, ErrNoController) || !strings.Contains(err.Error(), name) {
			t.Errorf("Validate without %s = %v, want ErrNoController and the name", name, err)
		}
	}
	// memory is there, memsw isn't.
	res := memory(specs.LinuxMemory{Limit: ptr[int64](1 << 20), Swap: ptr[int64](2 << 20)})
	if err := Validate(&res, f.host); err == nil || !strings.Contains(err.Error(), "counts no swap") {
		t.Errorf("Validate without swap accounting = %v", err)
	}
}

// A weight that no scheduler of this kernel takes.
func TestValidateNoWeights(t *testing.T) {
	f := newFake(t)
	f.mount("blkio", false, []string{"blkio"}, map[string]string{"blkio.throttle.io_serviced": ""}, nil)
	v2 := newFake(t)
	v2.host.pure = true
	v2.mount("unified", true, []string{"io"}, nil, map[string]string{"io.max": ""})
	if err := v2.system().mkdir(v2.host.hierarchies[0].Mountpoint + "/system.slice"); err != nil {
		t.Fatal(err)
	}
	res := specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](100)}}
	for name, host := range map[string]Host{"v1": f.host, "v2": v2.host} {
		if err := Validate(&res, host); err == nil || !strings.Contains(err.Error(), "no I/O weights") {
			t.Errorf("Validate of a weight on %s = %v", name, err)
		}
	}
}

func TestWriteErrorNamesFileAndValue(t *testing.T) {
	err := writeFile("/nonexistent/memory.max", "17")
	for _, want := range []string{"/nonexistent/memory.max", `"17"`, "no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("writeFile = %v, want it to say %q", err, want)
		}
	}
}
