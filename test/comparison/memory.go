// SPDX-License-Identifier: Apache-2.0

package comparison

import "strings"

const (
	kib = 1024
	// memoryTolerance is in kB: the kernel charges 64 pages at once to each CPU,
	// and what reads uses memory itself.
	memoryTolerance = 1024
)

// memoryRule is what one line of meminfo must say, in kB.
type memoryRule struct {
	field, why string
	kB         func(Moment) float64
	most       bool // it isn't counted: kB is only the most that it can be
}

// stat is a number of v1's memory.stat, in kB.
func (m Moment) stat(key string) float64 { return m.value("memory/memory.stat", key) / kib }

func (m Moment) hostMemory(key string) float64 { return m.value("host/meminfo", key) }

// kernelMemory is all that v1 counts of it.
func (m Moment) kernelMemory() float64 { return m.number("memory/memory.kmem.usage_in_bytes") / kib }

func (m Moment) memoryTotal() float64 {
	return min(m.hostMemory("MemTotal"), m.number("memory/memory.limit_in_bytes")/kib)
}

// memoryLeft is what the limit leaves. The lists and the usage lag one another.
func (m Moment) memoryLeft() float64 {
	lists := m.stat("total_inactive_anon") + m.stat("total_active_anon") + m.stat("total_inactive_file") + m.stat("total_active_file") + m.stat("total_unevictable")
	return m.memoryTotal() - max(m.number("memory/memory.usage_in_bytes")/kib, lists)
}

// swapTotal is what memsw's limit leaves beside memory's.
func (m Moment) swapTotal() float64 {
	limit := m.number("memory/memory.memsw.limit_in_bytes") - m.number("memory/memory.limit_in_bytes")
	return min(m.hostMemory("SwapTotal"), max(0, limit/kib))
}

func (m Moment) commitLimit() float64 {
	if kbytes := m.number("host/sys/vm/overcommit_kbytes"); kbytes > 0 {
		return min(kbytes, m.memoryTotal()) + m.swapTotal()
	}
	return (m.memoryTotal()-m.hostMemory("Hugetlb"))*m.number("host/sys/vm/overcommit_ratio")/100 + m.swapTotal()
}

// counted is a field that memory.stat has by that name.
func counted(field, key string) memoryRule {
	return memoryRule{field: field, why: "memory.stat " + key, kB: func(m Moment) float64 { return m.stat(key) }}
}

// kernelPart is one that v1 counts only in sum.
func kernelPart(field string) memoryRule {
	return memoryRule{field, "v1 counts kernel memory in sum only: at most memory.kmem.usage_in_bytes", Moment.kernelMemory, true}
}

func memoryRules() []memoryRule {
	sum := func(keys ...string) func(Moment) float64 {
		return func(m Moment) float64 {
			total := 0.0
			for _, key := range keys {
				total += m.stat(key)
			}
			return total
		}
	}
	return []memoryRule{
		{"MemTotal", "memory.limit_in_bytes", Moment.memoryTotal, false},
		{"MemFree", "limit − usage, ≤ host MemAvailable", func(m Moment) float64 { return min(m.memoryLeft(), m.hostMemory("MemAvailable")) }, false},
		{"MemAvailable", "limit − usage + active_file + inactive_file, ≤ host MemAvailable; shmem can't be reclaimed, there is no swap", func(m Moment) float64 {
			return min(m.memoryLeft()+m.stat("total_active_file")+m.stat("total_inactive_file"), m.hostMemory("MemAvailable"))
		}, false},
		{"Buffers", "not counted apart; Cached has them", func(m Moment) float64 { return m.stat("total_cache") }, true},
		counted("Cached", "total_cache"),
		counted("SwapCached", "total_swapcached"),
		{"Active", "memory.stat active_anon + active_file", sum("total_active_anon", "total_active_file"), false},
		{"Inactive", "memory.stat inactive_anon + inactive_file", sum("total_inactive_anon", "total_inactive_file"), false},
		counted("Active(anon)", "total_active_anon"),
		counted("Inactive(anon)", "total_inactive_anon"),
		counted("Active(file)", "total_active_file"),
		counted("Inactive(file)", "total_inactive_file"),
		counted("Unevictable", "total_unevictable"),
		{"Mlocked", "locked memory is unevictable: at most memory.stat total_unevictable", sum("total_unevictable"), true},
		{"SwapTotal", "memsw limit − memory limit, ≤ host SwapTotal", Moment.swapTotal, false},
		{"SwapFree", "SwapTotal − memory.stat total_swap", func(m Moment) float64 { return max(0, m.swapTotal()-m.stat("total_swap")) }, false},
		counted("Dirty", "total_dirty"),
		counted("Writeback", "total_writeback"),
		counted("AnonPages", "total_rss"),
		counted("Mapped", "total_mapped_file"),
		counted("Shmem", "total_shmem"),
		counted("AnonHugePages", "total_rss_huge"),
		{"ShmemHugePages", "not counted on v1: at most memory.stat total_shmem", sum("total_shmem"), true},
		{"FileHugePages", "not counted on v1: at most memory.stat total_cache", sum("total_cache"), true},
		kernelPart("KReclaimable"), kernelPart("Slab"), kernelPart("SReclaimable"), kernelPart("SUnreclaim"), kernelPart("KernelStack"),
		kernelPart("PageTables"), kernelPart("SecPageTables"), kernelPart("VmallocUsed"), kernelPart("Percpu"),
		{"CommitLimit", "the kernel's formula, with the MemTotal that is shown; what is enforced is the host's", Moment.commitLimit, false},
	}
}

// Meminfo is the table of /proc/meminfo.
func Meminfo(s Sample) Table {
	const file = "proc/meminfo"
	ours, theirs := parseList(s.Ours[file].Text), parseList(s.Theirs[file].Text)
	host := parseList(s.Before.Files["host/meminfo"])
	rules := map[string]memoryRule{}
	for _, r := range memoryRules() {
		rules[r.field] = r
	}
	t := Table{File: file, Rows: append(s.form(file),
		judgeText("(labels)", strings.Join(ours.names, " "), strings.Join(theirs.names, " "), strings.Join(host.names, " "), "the host's, in its order"))}
	for _, field := range ours.names {
		truth, why := s.between(func(m Moment) float64 { return m.hostMemory(field) }), "the host's"
		if r, ok := rules[field]; ok {
			truth, why = s.between(r.kB), r.why
			if r.most {
				truth.Low, truth.Bound = 0, true
			}
		}
		truth = truth.within(memoryTolerance)
		switch {
		case field == "Committed_AS":
			truth, why = nobody(), "no cgroup counts what was promised; ours: anon + shmem + swap used, LXCFS's: the host's"
		case strings.HasPrefix(field, "DirectMap"), strings.HasPrefix(field, "Cma"):
			truth, why = nobody(), "only a machine has it: LXCFS's is the host's, which tells its size"
		case field == "MemTotal", field == "CommitLimit":
			truth = truth.within(1) // kB are rounded down
		case truth.Bound:
			truth = truth.within(0)
		}
		t.Rows = append(t.Rows, judge(field, ours.values[field], theirs.values[field], truth, why))
	}
	return t
}

// Vmstat is the table of /proc/vmstat, which LXCFS doesn't serve.
func Vmstat(s Sample) Table {
	const file = "proc/vmstat"
	ours, host := parseList(s.Ours[file].Text), parseList(s.Before.Files["host/vmstat"])
	pages := func(key string) func(Moment) float64 {
		return func(m Moment) float64 { return m.stat(key) / 4 }
	}
	written := func(m Moment) float64 {
		total := 0.0
		for _, d := range m.devices() {
			total += d.written / kib
		}
		return total
	}
	t := Table{File: file, Note: absent + " Only some of its lines are here."}
	t.Rows = append(t.Rows, judgeText("(labels)", strings.Join(ours.names, " "), strings.Join(host.names, " "), strings.Join(host.names, " "), "the host's, in its order"))
	for _, r := range []struct {
		field, why string
		value      func(Moment) float64
	}{
		{"nr_free_pages", "(limit − usage) ÷ 4 KiB", func(m Moment) float64 { return m.memoryLeft() / 4 }},
		{"nr_file_pages", "memory.stat total_cache", pages("total_cache")},
		{"nr_shmem", "memory.stat total_shmem", pages("total_shmem")},
		{"nr_anon_pages", "memory.stat total_rss", pages("total_rss")},
		{"nr_active_file", "memory.stat total_active_file", pages("total_active_file")},
		{"nr_inactive_file", "memory.stat total_inactive_file", pages("total_inactive_file")},
		{"nr_mapped", "memory.stat total_mapped_file", pages("total_mapped_file")},
		{"nr_dirty", "memory.stat total_dirty", pages("total_dirty")},
		{"pgpgout", "KiB written to devices, by blkio", written},
		{"pgfault", "memory.stat total_pgfault", func(m Moment) float64 { return m.value("memory/memory.stat", "total_pgfault") }},
		{"pgmajfault", "memory.stat total_pgmajfault", func(m Moment) float64 { return m.value("memory/memory.stat", "total_pgmajfault") }},
	} {
		t.Rows = append(t.Rows, alone(r.field, ours.values[r.field], host.values[r.field], s.between(r.value).within(memoryTolerance/4), r.why))
	}
	return t
}
