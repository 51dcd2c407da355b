// SPDX-License-Identifier: Apache-2.0

package formats

import "github.com/procfs-shim/procfs-shim/fusefs/view"

const (
	onlineField  = "sys/devices/system/cpu/online"
	visibleWords = "a CPU's lines are there if it is in cpu/online"
)

// visible is what decides which CPUs a container is shown.
func visible() []Input {
	return []Input{
		host("sys/devices/system/cpu/online"),
		nearest("cpuset.cpus.effective", "cpuset.effective_cpus"),
		chain("cpu.max quota", "cpu.cfs_quota_us"),
		chain("cpu.max period", "cpu.cfs_period_us"),
	}
}

func contiguous(formula string, inputs ...Input) Variant {
	return Variant{
		Policy: "cpu-numbering=contiguous", In: func(p view.Policy) bool { return p.Numbering == view.NumberingContiguous },
		Kind: Computed, Formula: formula, Inputs: inputs,
	}
}

func online() File {
	in := visible()
	return File{
		Path: onlineField,
		Rows: []Row{{
			Field: "online", Kind: Computed, Inputs: in,
			Formula: "the first min(CPUs there, max(1, ⌈min over chain of quota ÷ period⌉)) of cpuset.cpus.effective ∩ host online",
			With: []Variant{
				contiguous("0 … as many as there would be with the kernel's numbers − 1", in...),
				{
					Policy: "cpu-view=host", In: func(p view.Policy) bool { return p.CPUView == view.CPUViewHost },
					Kind: Host, Formula: "host online",
				},
				{
					Policy: "cpu-view=cpuset", In: func(p view.Policy) bool { return p.CPUView == view.CPUViewCPUSet },
					Kind: Computed, Formula: "cpuset.cpus.effective ∩ host online", Inputs: in[:2],
				},
			},
		}},
	}
}

func offline() File {
	return File{
		Path: "sys/devices/system/cpu/offline",
		Rows: []Row{{
			Field: "offline", Kind: Computed, Formula: "host possible − online",
			Inputs: []Input{host("sys/devices/system/cpu/possible"), shown(onlineField)},
		}},
	}
}

func cpuinfo() File {
	visible := shown(onlineField)
	packages := []Input{
		host("proc/cpuinfo cpu# processor"), host("proc/cpuinfo cpu# cpu number"), host("proc/cpuinfo cpu# physical id"),
		host("proc/cpuinfo cpu# book id"), host("proc/cpuinfo cpu# drawer id"), visible,
	}
	rank := contiguous("the CPU's rank among those shown", visible)
	return File{
		Path: "proc/cpuinfo", Lines: visibleWords, LinesOf: []Input{visible, host("proc/cpuinfo cpu# processor"), host("proc/cpuinfo cpu# cpu number")},
		Rows: []Row{
			{Field: "cpu# processor", Kind: Host, Formula: "the kernel's number of the CPU", With: []Variant{rank}},
			{Field: "cpu# cpu number", Kind: Host, Formula: "the kernel's number of the CPU (s390)", With: []Variant{rank}},
			{
				Field: "cpu# siblings", Kind: Computed, Formula: "visible CPUs of the package; the host's where all of it are visible",
				Inputs: append([]Input{host("proc/cpuinfo cpu# siblings")}, packages...),
			},
			{
				Field: "cpu# cpu cores", Kind: Computed, Formula: "distinct core ids among the visible CPUs of the package; the host's where all of it are visible",
				Inputs: append([]Input{host("proc/cpuinfo cpu# cpu cores"), host("proc/cpuinfo cpu# core id")}, packages...),
			},
			{
				Field: "# processors", Kind: Computed, Formula: "visible CPUs (s390); the host's where all are visible",
				Inputs: []Input{host("proc/cpuinfo # processors"), visible},
			},
			{
				Field: "cpu# *", Kind: Host, Formula: "the host's, at most 1 s old",
				With: []Variant{{
					Policy: rank.Policy, In: rank.In, Kind: Host, Formula: "the host's of the CPU that has this rank",
					Inputs: []Input{host("proc/cpuinfo cpu# *"), visible},
				}},
			},
			hostRow("*", "the host's: text before the first and after the last CPU"),
		},
	}
}

// busy is what the container ran for.
func busy() []Input {
	return []Input{
		own("cpu.stat usage_usec", "cpuacct.usage_percpu cpu#"), own("", "cpuacct.usage"),
		own("cpu.stat user_usec", "cpuacct.stat user"), own("cpu.stat system_usec", "cpuacct.stat system"),
	}
}

// refused is what quotas kept it from.
func refused() []Input {
	return []Input{
		chain("cpu.stat throttled_usec", "cpu.stat throttled_time"),
		chain("cpu.max quota", "cpu.cfs_quota_us"), chain("cpu.max period", "cpu.cfs_period_us"),
		term("busy"),
	}
}

func stat() File {
	visible := shown(onlineField)
	busy := []Input{term("busy"), visible, clock(), initProcess()}
	rest := append([]Input{term("refused")}, busy...)
	f := File{
		Path: "proc/stat", Lines: visibleWords, LinesOf: []Input{visible},
		Hosts: []Case{rootCgroup(), hostCPUs()},
		Rows: []Row{
			{Field: "cpu# user", Kind: Computed, Inputs: busy, Formula: "busy of the CPU (v1) or its share (v2), the part that is user time; at most wall time"},
			{Field: "cpu# system", Kind: Computed, Inputs: busy, Formula: "busy of the CPU (v1) or its share (v2), the part that is system time; at most wall time"},
			{Field: "cpu# steal", Kind: Computed, Inputs: rest, Formula: "its share of refused; at most wall time − user − system"},
			{Field: "cpu# idle", Kind: Computed, Inputs: rest, Formula: "wall time while the CPU was visible − user − system − steal"},
		},
	}
	for _, column := range statColumns() {
		switch column {
		case "user", "system", "steal", "idle":
			f.Rows = append(f.Rows, Row{
				Field: "cpu " + column, Kind: Computed, Formula: "Σ " + column + " over every CPU that was ever visible",
				Inputs: []Input{shown("proc/stat cpu# " + column)},
			})
		default:
			formula := "0: nobody accounts it to a cgroup"
			f.Rows = append(f.Rows, always("cpu# "+column, formula), always("cpu "+column, formula))
		}
	}
	counters := hostCounters()
	f.Rows = append(
		f.Rows,
		Row{Field: "btime", Kind: Computed, Formula: "host btime − boottime offset of the container's time namespace", Inputs: []Input{host("proc/stat btime"), initProcess()}},
		Row{Field: "procs_running", Kind: Computed, Formula: "the container's tasks in state R, at most 5.5 s ago", Inputs: []Input{tasks()}},
		Row{Field: "procs_blocked", Kind: Computed, Formula: "the container's tasks in state D, at most 5.5 s ago", Inputs: []Input{tasks()}},
		always("intr", "0", counters),
		always("intr each", "0 for each interrupt of the host", counters),
		always("ctxt", "0", counters),
		always("processes", "0", counters),
		always("softirq", "0", counters),
		always("softirq each", "0 for each kind", counters),
		hostRow("line #", "the host's: a line that this program doesn't understand"),
		always("*", "0", counters),
	)
	return f
}

func uptime() File {
	return File{
		Path: "proc/uptime",
		Hosts: []Case{
			rootCgroup(),
			{"with uptime=host, for a container in the host's PID namespace, or one without a known init process, unless it has a time namespace", func(s Situation) bool {
				own := s.Policy.Uptime == view.WhoseContainer && s.Init && !s.HostPID
				return !s.TimeNamespace && !own
			}},
		},
		Rows: []Row{
			{Field: "up", Kind: Computed, Formula: "boot clock − start of the container's init; in a time namespace boot clock + its boottime offset", Inputs: []Input{clock(), initProcess()}},
			{Field: "idle", Kind: Computed, Formula: "idle of cpu in proc/stat", Inputs: []Input{shown("proc/stat cpu idle")}},
		},
	}
}

func loadavg() File {
	average := func(field, minutes string) Row {
		return Row{
			Field: field, Kind: Computed, Inputs: []Input{tasks(), clock(), initProcess()},
			Formula: "tasks of the container in state R or D, averaged over " + minutes + " as the kernel does, a step each 5 s; while nobody read, as if those seen next had been there, since the start of init at the most",
		}
	}
	count := func(field, formula string) Row {
		return Row{Field: field, Kind: Computed, Formula: formula, Inputs: []Input{tasks()}}
	}
	return File{
		Path: "proc/loadavg",
		Hosts: []Case{
			rootCgroup(),
			{"with loadavg=host", func(s Situation) bool { return s.Policy.Loadavg == view.WhoseHost }},
		},
		Rows: []Row{
			average("load1", "1 minute"), average("load5", "5 minutes"), average("load15", "15 minutes"),
			count("running", "the container's tasks in state R, at most 5.5 s ago"),
			count("total", "the container's tasks, at most 5.5 s ago"),
			count("lastpid", "the largest PID among them, as the container numbers it"),
		},
	}
}

func pressure(resource string) File {
	path := "proc/pressure/" + resource
	cgroup := func(line, key, formula string) Row {
		name := line + " " + key
		return Row{
			Field: name, Kind: Cgroup, Formula: formula,
			// A hybrid host's cgroup2 has the file, too.
			Inputs: []Input{own(resource+".pressure "+name, "")},
		}
	}
	f := File{
		Path: path, Lines: "the lines and keys of the cgroup's file, else the host's",
		LinesOf: []Input{own(resource+".pressure *", "")},
		Hosts:   []Case{rootCgroup()},
	}
	lines := []string{"some", "full"}
	if resource == "irq" {
		lines = lines[1:]
	}
	for _, line := range lines {
		for _, key := range []string{"avg10", "avg60", "avg300", "total"} {
			f.Rows = append(f.Rows, cgroup(line, key, "the same of "+resource+".pressure; 0 where the cgroup has none"))
		}
	}
	f.Rows = append(f.Rows, Row{
		Field: "*", Kind: Cgroup, Formula: "the same of " + resource + ".pressure; 0 where the cgroup has none",
		Inputs: []Input{own(resource+".pressure *", "")},
	})
	return f
}
