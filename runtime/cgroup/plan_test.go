// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func disk(major, minor int64) specs.LinuxBlockIODevice {
	return specs.LinuxBlockIODevice{Major: major, Minor: minor}
}

func throttleOf(major, minor int64, rate uint64) []specs.LinuxThrottleDevice {
	return []specs.LinuxThrottleDevice{{LinuxBlockIODevice: disk(major, minor), Rate: rate}}
}

// What is written into a new cgroup, in this order.
var planTable = []struct {
	name   string
	res    specs.LinuxResources
	v1, v2 []string
}{
	{"nothing", specs.LinuxResources{}, nil, nil},
	{
		"memory alone",
		specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28)}},
		[]string{"memory.limit_in_bytes 268435456"},
		[]string{"memory.max 268435456"},
	},
	{
		"memory and swap",
		specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28), Swap: ptr[int64](1 << 29), Reservation: ptr[int64](1 << 27)}},
		[]string{"memory.limit_in_bytes 268435456", "memory.memsw.limit_in_bytes 536870912", "memory.soft_limit_in_bytes 134217728"},
		[]string{"memory.swap.max 268435456", "memory.max 268435456", "memory.low 134217728"},
	},
	{
		"no swap",
		specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28), Swap: ptr[int64](1 << 28)}},
		[]string{"memory.limit_in_bytes 268435456", "memory.memsw.limit_in_bytes 268435456"},
		[]string{"memory.swap.max 0", "memory.max 268435456"},
	},
	{
		"unlimited swap",
		specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28), Swap: ptr[int64](-1)}},
		[]string{"memory.memsw.limit_in_bytes -1", "memory.limit_in_bytes 268435456"},
		[]string{"memory.swap.max max", "memory.max 268435456"},
	},
	{
		"unlimited memory",
		specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)}},
		[]string{"memory.memsw.limit_in_bytes -1", "memory.limit_in_bytes -1"},
		[]string{"memory.swap.max max", "memory.max max"},
	},
	{
		"zeros leave memory and CPU alone",
		specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: ptr[int64](0), Swap: ptr[int64](0), Reservation: ptr[int64](0)},
			CPU:    &specs.LinuxCPU{Shares: ptr[uint64](0), Quota: ptr[int64](0), Period: ptr[uint64](0)},
		},
		nil, nil,
	},
	{
		"quota without period",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50000)}},
		[]string{"cpu.cfs_quota_us 50000"},
		[]string{"cpu.max 50000"},
	},
	{
		"period without quota",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptr[uint64](50000)}},
		[]string{"cpu.cfs_period_us 50000"},
		[]string{"cpu.max max 50000"},
	},
	{
		"quota and shorter period",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](5000), Period: ptr[uint64](10000)}},
		[]string{"cpu.cfs_period_us 10000", "cpu.cfs_quota_us 5000"},
		[]string{"cpu.max 5000 10000"},
	},
	{
		"no quota",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](-1)}},
		[]string{"cpu.cfs_quota_us -1"},
		[]string{"cpu.max max"},
	},
	{
		"burst after quota",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](20000), Burst: ptr[uint64](10000)}},
		[]string{"cpu.cfs_quota_us 20000", "cpu.cfs_burst_us 10000"},
		[]string{"cpu.max 20000", "cpu.max.burst 10000"},
	},
	{
		"shares",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](512)}},
		[]string{"cpu.shares 512"},
		[]string{"cpu.weight 59"},
	},
	{
		"idle",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: ptr[int64](1)}},
		[]string{"cpu.idle 1"},
		[]string{"cpu.idle 1"},
	},
	{
		"cpuset",
		specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "1", Mems: "0"}},
		[]string{"cpuset.cpus 1", "cpuset.mems 0"},
		[]string{"cpuset.cpus 1", "cpuset.mems 0"},
	},
	{
		"pids",
		specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](64)}},
		[]string{"pids.max 64"},
		[]string{"pids.max 64"},
	},
	{
		"no pids",
		specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](0)}},
		[]string{"pids.max 0"},
		[]string{"pids.max 0"},
	},
	{
		"unlimited pids",
		specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](-1)}},
		[]string{"pids.max max"},
		[]string{"pids.max max"},
	},
	{
		"I/O weights",
		specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
			Weight:       ptr[uint16](500),
			WeightDevice: []specs.LinuxWeightDevice{{LinuxBlockIODevice: disk(8, 0), Weight: ptr[uint16](1000)}},
		}},
		[]string{"blkio.bfq.weight 500", "blkio.bfq.weight_device 8:0 1000"},
		[]string{"io.weight 4950", "io.bfq.weight 500", "io.weight 8:0 10000", "io.bfq.weight 8:0 1000"},
	},
	{
		"throttling",
		specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
			ThrottleReadBpsDevice:   throttleOf(8, 0, 1048576),
			ThrottleWriteBpsDevice:  throttleOf(8, 0, 2097152),
			ThrottleReadIOPSDevice:  throttleOf(8, 16, 100),
			ThrottleWriteIOPSDevice: throttleOf(8, 16, 0),
		}},
		[]string{
			"blkio.throttle.read_bps_device 8:0 1048576", "blkio.throttle.write_bps_device 8:0 2097152",
			"blkio.throttle.read_iops_device 8:16 100", "blkio.throttle.write_iops_device 8:16 0",
		},
		[]string{"io.max 8:0 rbps=1048576", "io.max 8:0 wbps=2097152", "io.max 8:16 riops=100", "io.max 8:16 wiops=max"},
	},
	{
		"huge pages",
		specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}},
		[]string{"hugetlb.2MB.limit_in_bytes 4194304", "hugetlb.2MB.rsvd.limit_in_bytes 4194304"},
		[]string{"hugetlb.2MB.max 4194304", "hugetlb.2MB.rsvd.max 4194304"},
	},
	{
		"rdma",
		specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{
			"mlx5_1": {HcaHandles: ptr[uint32](3), HcaObjects: ptr[uint32](4)}, "mlx4_0": {HcaObjects: ptr[uint32](5)},
		}},
		[]string{"rdma.max mlx4_0 hca_object=5", "rdma.max mlx5_1 hca_handle=3 hca_object=4"},
		[]string{"rdma.max mlx4_0 hca_object=5", "rdma.max mlx5_1 hca_handle=3 hca_object=4"},
	},
}

func TestPlan(t *testing.T) {
	for _, c := range planTable {
		for _, version := range []struct {
			name string
			make func(*testing.T) *fake
			want []string
		}{{"v1", fakeV1, c.v1}, {"v2", fakeV2, c.v2}} {
			t.Run(c.name+" "+version.name, func(t *testing.T) {
				f := version.make(t)
				empty, err := create(f.host, fakePath, nil, f.system())
				if err != nil {
					t.Fatal(err)
				}
				f.writes = nil // filling cpuset's lists
				if err := empty.apply(&c.res); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(version.want, f.leafWrites()); diff != "" {
					t.Errorf("writes (-want +got):\n%s", diff)
				}
				if err := Validate(&c.res, f.host); err != nil {
					t.Errorf("Validate = %v", err)
				}
			})
		}
	}
}

func TestPlanV1Only(t *testing.T) {
	f := fakeV1(t)
	res := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Swappiness: ptr[uint64](0), DisableOOMKiller: ptr(true), KernelTCP: ptr[int64](4096)},
		CPU:    &specs.LinuxCPU{RealtimePeriod: ptr[uint64](1000000), RealtimeRuntime: ptr[int64](950000)},
		Network: &specs.LinuxNetwork{
			ClassID: ptr[uint32](1048577), Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 5}},
		},
		Devices: []specs.LinuxDeviceCgroup{
			{Allow: false},
			{Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](3), Access: "rw"},
			{Allow: true, Type: "u", Major: ptr[int64](-1), Access: "m"},
		},
	}
	if _, err := create(f.host, fakePath, res, f.system()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cpuset.cpus 0-1", "cpuset.mems 0",
		"cpu.rt_period_us 1000000", "cpu.rt_runtime_us 950000",
		"memory.kmem.tcp.limit_in_bytes 4096", "memory.swappiness 0", "memory.oom_control 1",
		"net_cls.classid 1048577", "net_prio.ifpriomap lo 5",
		"devices.deny a *:* rwm", "devices.allow c 1:3 rw", "devices.allow c *:* m",
	}
	if diff := cmp.Diff(want, f.leafWrites()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestUnified(t *testing.T) {
	f := fakeV2(t)
	res := &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: ptr[int64](1 << 28)},
		Unified: map[string]string{"memory.high": "1000", "io.max": "8:0 rbps=1\n8:16 wbps=2\n", "memory.max": "max"},
	}
	if _, err := create(f.host, fakePath, res, f.system()); err != nil {
		t.Fatal(err)
	}
	want := []string{"memory.max 268435456", "io.max 8:0 rbps=1", "io.max 8:16 wbps=2", "memory.high 1000", "memory.max max"}
	if diff := cmp.Diff(want, f.leafWrites()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// Orders that depend on what holds now.
func TestPlanUpdate(t *testing.T) {
	f := fakeV1(t)
	c, err := create(f.host, fakePath, nil, f.system())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		res  specs.LinuxResources
		want []string
	}{
		{
			"lower from no limit",
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](100 << 20), Swap: ptr[int64](200 << 20)}},
			[]string{"memory.limit_in_bytes 104857600", "memory.memsw.limit_in_bytes 209715200"},
		}, {
			"raise",
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](300 << 20), Swap: ptr[int64](400 << 20)}},
			[]string{"memory.memsw.limit_in_bytes 419430400", "memory.limit_in_bytes 314572800"},
		}, {
			"lower",
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](10 << 20), Swap: ptr[int64](20 << 20)}},
			[]string{"memory.limit_in_bytes 10485760", "memory.memsw.limit_in_bytes 20971520"},
		}, {
			"first quota",
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50000), Burst: ptr[uint64](40000)}},
			[]string{"cpu.cfs_quota_us 50000", "cpu.cfs_burst_us 40000"},
		}, {
			"shorter period, smaller burst",
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](5000), Period: ptr[uint64](10000), Burst: ptr[uint64](4000)}},
			[]string{"cpu.cfs_burst_us 4000", "cpu.cfs_quota_us 5000", "cpu.cfs_period_us 10000"},
		}, {
			"longer period",
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](500000), Period: ptr[uint64](1000000)}},
			[]string{"cpu.cfs_period_us 1000000", "cpu.cfs_quota_us 500000"},
		},
	} {
		f.writes = nil
		if err := c.Update(&step.res); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, f.leafWrites()); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", step.name, diff)
		}
	}

	v2 := fakeV2(t)
	if c, err = create(v2.host, fakePath, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50000)}}, v2.system()); err != nil {
		t.Fatal(err)
	}
	v2.put(c.in(*v2.host.of("")), map[string]string{"cpu.max": "50000 100000"}) // as the kernel reads it back
	v2.writes = nil
	if err := c.Update(&specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptr[uint64](200000)}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cpu.max 50000 200000"}, v2.leafWrites()); diff != "" {
		t.Errorf("period alone keeps the quota: writes (-want +got):\n%s", diff)
	}
}

// Hosts without swap accounting: "no limit" needs no file.
func TestPlanWithoutSwapAccounting(t *testing.T) {
	res := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 28), Swap: ptr[int64](-1)}}
	f := fakeV1(t)
	for dir, files := range f.files {
		delete(files, "memory.memsw.limit_in_bytes")
		f.put(dir, nil)
	}
	if _, err := create(f.host, fakePath, res, f.system()); err != nil {
		t.Fatal(err)
	}
	v2 := fakeV2(t)
	for _, files := range v2.files {
		delete(files, "memory.swap.max")
	}
	if _, err := create(v2.host, fakePath, res, v2.system()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"memory.max 268435456"}, v2.leafWrites()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
