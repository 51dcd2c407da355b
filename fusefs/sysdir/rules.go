// SPDX-License-Identifier: Apache-2.0

package sysdir

// CPUs is what is shown of /sys/devices/system/cpu beside online and offline, which
// say something else in a container. The cpuN directories are all of the host's:
// libraries index per-CPU memory by the kernel's numbers
// (Documentation/ABI/testing/sysfs-devices-system-cpu).
//
// Left out is what tells of the host's other users or is for root: counters of
// throttling, idle states and machine checks, crash_notes, microcode, power, and
// whatever is written only. What a new kernel brings is left out until it has a
// rule here; only vulnerabilities is open.
func CPUs(path string) *Dir {
	return New(path, Scheme{Tree: 0, RuleBits: 8, SecondBits: 6}, []Rule{
		{1, "possible", File},
		{2, "present", File},
		{3, "kernel_max", File},
		{4, "isolated", File},
		{5, "nohz_full", File},
		{6, "modalias", File},
		{7, "enabled", File},
		{8, "smt", Directory},
		{9, "smt/active", File},
		{10, "smt/control", File},
		{11, "vulnerabilities", Directory},
		{12, "vulnerabilities/*", File},
		{13, "dispatching", File}, // s390

		{32, "cpu#", Directory},
		{33, "cpu#/online", File},
		{34, "cpu#/node#", Link},
		{35, "cpu#/subsystem", Link},
		{36, "cpu#/cpufreq", Link},
		{37, "cpu#/cpu_capacity", File},
		{38, "cpu#/address", File},      // s390
		{39, "cpu#/configure", File},    // s390
		{40, "cpu#/polarization", File}, // s390
		{41, "cpu#/regs", Directory},    // arm64
		{42, "cpu#/regs/identification", Directory},
		{43, "cpu#/regs/identification/midr_el1", File},
		{44, "cpu#/regs/identification/revidr_el1", File},
		{45, "cpu#/acpi_cppc", Directory},
		{46, "cpu#/acpi_cppc/highest_perf", File},
		{47, "cpu#/acpi_cppc/nominal_perf", File},
		{48, "cpu#/acpi_cppc/lowest_perf", File},
		{49, "cpu#/acpi_cppc/lowest_nonlinear_perf", File},
		{50, "cpu#/acpi_cppc/nominal_freq", File},
		{51, "cpu#/acpi_cppc/lowest_freq", File},

		{64, "cpu#/topology", Directory},
		{65, "cpu#/topology/core_id", File},
		{66, "cpu#/topology/physical_package_id", File},
		{67, "cpu#/topology/die_id", File},
		{68, "cpu#/topology/cluster_id", File},
		{69, "cpu#/topology/book_id", File},
		{70, "cpu#/topology/drawer_id", File},
		{71, "cpu#/topology/core_cpus", File},
		{72, "cpu#/topology/core_cpus_list", File},
		{73, "cpu#/topology/core_siblings", File},
		{74, "cpu#/topology/core_siblings_list", File},
		{75, "cpu#/topology/thread_siblings", File},
		{76, "cpu#/topology/thread_siblings_list", File},
		{77, "cpu#/topology/package_cpus", File},
		{78, "cpu#/topology/package_cpus_list", File},
		{79, "cpu#/topology/die_cpus", File},
		{80, "cpu#/topology/die_cpus_list", File},
		{81, "cpu#/topology/cluster_cpus", File},
		{82, "cpu#/topology/cluster_cpus_list", File},
		{83, "cpu#/topology/book_siblings", File},
		{84, "cpu#/topology/book_siblings_list", File},
		{85, "cpu#/topology/drawer_siblings", File},
		{86, "cpu#/topology/drawer_siblings_list", File},

		{96, "cpu#/cache", Directory},
		{97, "cpu#/cache/index#", Directory},
		{98, "cpu#/cache/index#/level", File},
		{99, "cpu#/cache/index#/type", File},
		{100, "cpu#/cache/index#/size", File},
		{101, "cpu#/cache/index#/id", File},
		{102, "cpu#/cache/index#/shared_cpu_map", File},
		{103, "cpu#/cache/index#/shared_cpu_list", File},
		{104, "cpu#/cache/index#/coherency_line_size", File},
		{105, "cpu#/cache/index#/number_of_sets", File},
		{106, "cpu#/cache/index#/ways_of_associativity", File},
		{107, "cpu#/cache/index#/physical_line_partition", File},
		{108, "cpu#/cache/index#/allocation_policy", File},
		{109, "cpu#/cache/index#/write_policy", File},
		{110, "cpu#/cache/index#/attributes", File},

		{128, "cpufreq", Directory},
		{129, "cpufreq/boost", File},
		{130, "cpufreq/policy#", Directory},
		{131, "cpufreq/policy#/affected_cpus", File},
		{132, "cpufreq/policy#/related_cpus", File},
		{133, "cpufreq/policy#/base_frequency", File},
		{134, "cpufreq/policy#/bios_limit", File},
		{135, "cpufreq/policy#/cpuinfo_max_freq", File},
		{136, "cpufreq/policy#/cpuinfo_min_freq", File},
		{137, "cpufreq/policy#/cpuinfo_transition_latency", File},
		{138, "cpufreq/policy#/scaling_available_frequencies", File},
		{139, "cpufreq/policy#/scaling_available_governors", File},
		{140, "cpufreq/policy#/scaling_cur_freq", File},
		{141, "cpufreq/policy#/scaling_driver", File},
		{142, "cpufreq/policy#/scaling_governor", File},
		{143, "cpufreq/policy#/scaling_max_freq", File},
		{144, "cpufreq/policy#/scaling_min_freq", File},
		{145, "cpufreq/policy#/energy_performance_preference", File},
		{146, "cpufreq/policy#/energy_performance_available_preferences", File},
	})
}

// The rules of [Nodes] whose files say something else in a container than on the
// host.
const (
	NodeMeminfo  = 2
	NodeCPUList  = 3
	NodeCPUMap   = 4
	NodeNumastat = 5
	NodeDistance = 6
)

// Nodes is what is shown of the nodeN directories of /sys/devices/system/node
// (Documentation/ABI/stable/sysfs-devices-node).
func Nodes(path string) *Dir {
	return New(path, Scheme{Tree: 1, RuleBits: 4, SecondBits: 16}, []Rule{
		{1, "node#", Directory},
		{NodeMeminfo, "node#/meminfo", File},
		{NodeCPUList, "node#/cpulist", File},
		{NodeCPUMap, "node#/cpumap", File},
		{NodeNumastat, "node#/numastat", File},
		{NodeDistance, "node#/distance", File},
		{7, "node#/cpu#", Link},
		{8, "node#/subsystem", Link},
	})
}
