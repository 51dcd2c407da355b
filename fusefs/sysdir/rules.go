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
// rule here; only vulnerabilities is open. Numbers have room for as many CPUs (8192)
// and nodes (1024) as Linux can have.
func CPUs(path string) *Dir {
	return New(path, Scheme{Tree: 0, RuleBits: 7, SecondBits: 10}, []Rule{
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

		{20, "cpu#", Directory},
		{21, "cpu#/online", File},
		{22, "cpu#/node#", Link},
		{23, "cpu#/subsystem", Link},
		{24, "cpu#/cpufreq", Link},
		{25, "cpu#/cpu_capacity", File},
		{26, "cpu#/address", File},      // s390
		{27, "cpu#/configure", File},    // s390
		{28, "cpu#/polarization", File}, // s390
		{29, "cpu#/regs", Directory},    // arm64
		{30, "cpu#/regs/identification", Directory},
		{31, "cpu#/regs/identification/midr_el1", File},
		{32, "cpu#/regs/identification/revidr_el1", File},
		{33, "cpu#/acpi_cppc", Directory},
		{34, "cpu#/acpi_cppc/highest_perf", File},
		{35, "cpu#/acpi_cppc/nominal_perf", File},
		{36, "cpu#/acpi_cppc/lowest_perf", File},
		{37, "cpu#/acpi_cppc/lowest_nonlinear_perf", File},
		{38, "cpu#/acpi_cppc/nominal_freq", File},
		{39, "cpu#/acpi_cppc/lowest_freq", File},

		{48, "cpu#/topology", Directory},
		{49, "cpu#/topology/core_id", File},
		{50, "cpu#/topology/physical_package_id", File},
		{51, "cpu#/topology/die_id", File},
		{52, "cpu#/topology/cluster_id", File},
		{53, "cpu#/topology/book_id", File},
		{54, "cpu#/topology/drawer_id", File},
		{55, "cpu#/topology/core_cpus", File},
		{56, "cpu#/topology/core_cpus_list", File},
		{57, "cpu#/topology/core_siblings", File},
		{58, "cpu#/topology/core_siblings_list", File},
		{59, "cpu#/topology/thread_siblings", File},
		{60, "cpu#/topology/thread_siblings_list", File},
		{61, "cpu#/topology/package_cpus", File},
		{62, "cpu#/topology/package_cpus_list", File},
		{63, "cpu#/topology/die_cpus", File},
		{64, "cpu#/topology/die_cpus_list", File},
		{65, "cpu#/topology/cluster_cpus", File},
		{66, "cpu#/topology/cluster_cpus_list", File},
		{67, "cpu#/topology/book_siblings", File},
		{68, "cpu#/topology/book_siblings_list", File},
		{69, "cpu#/topology/drawer_siblings", File},
		{70, "cpu#/topology/drawer_siblings_list", File},

		{72, "cpu#/cache", Directory},
		{73, "cpu#/cache/index#", Directory},
		{74, "cpu#/cache/index#/level", File},
		{75, "cpu#/cache/index#/type", File},
		{76, "cpu#/cache/index#/size", File},
		{77, "cpu#/cache/index#/id", File},
		{78, "cpu#/cache/index#/shared_cpu_map", File},
		{79, "cpu#/cache/index#/shared_cpu_list", File},
		{80, "cpu#/cache/index#/coherency_line_size", File},
		{81, "cpu#/cache/index#/number_of_sets", File},
		{82, "cpu#/cache/index#/ways_of_associativity", File},
		{83, "cpu#/cache/index#/physical_line_partition", File},
		{84, "cpu#/cache/index#/allocation_policy", File},
		{85, "cpu#/cache/index#/write_policy", File},
		{86, "cpu#/cache/index#/attributes", File},

		{88, "cpufreq", Directory},
		{89, "cpufreq/boost", File},
		{90, "cpufreq/policy#", Directory},
		{91, "cpufreq/policy#/affected_cpus", File},
		{92, "cpufreq/policy#/related_cpus", File},
		{93, "cpufreq/policy#/base_frequency", File},
		{94, "cpufreq/policy#/bios_limit", File},
		{95, "cpufreq/policy#/cpuinfo_max_freq", File},
		{96, "cpufreq/policy#/cpuinfo_min_freq", File},
		{97, "cpufreq/policy#/cpuinfo_transition_latency", File},
		{98, "cpufreq/policy#/scaling_available_frequencies", File},
		{99, "cpufreq/policy#/scaling_available_governors", File},
		{100, "cpufreq/policy#/scaling_cur_freq", File},
		{101, "cpufreq/policy#/scaling_driver", File},
		{102, "cpufreq/policy#/scaling_governor", File},
		{103, "cpufreq/policy#/scaling_max_freq", File},
		{104, "cpufreq/policy#/scaling_min_freq", File},
		{105, "cpufreq/policy#/energy_performance_preference", File},
		{106, "cpufreq/policy#/energy_performance_available_preferences", File},
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
