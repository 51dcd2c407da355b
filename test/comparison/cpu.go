// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// ticks of a second in /proc, on every platform that Go runs on.
	ticks = 100
	// cpuPoints is how many percent of one CPU a rate may be wrong.
	cpuPoints = 2
	// idlePoints: what was refused comes by the kernel's periods of 100 ms.
	idlePoints = 5
)

// Phase is a time between two samples in which the container did one thing.
type Phase struct {
	Name     string
	From, To Sample
}

// column is a column of the "cpu" line, in seconds: user is 0, idle is 3.
func column(text string, i int) float64 { return numberAt(line(text, "cpu"), i+1) / ticks }

func busy(text string) float64 { return column(text, 0) + column(text, 1) + column(text, 2) }

const (
	idleColumn  = 3
	stealColumn = 7
)

// total is all columns of the "cpu" line that don't repeat another, in seconds.
func total(text string) float64 {
	sum := 0.0
	for i := range stealColumn + 1 {
		sum += column(text, i)
	}
	return sum
}

func (m Moment) usage() float64 { return m.number("cpuacct/cpuacct.usage") / 1e9 }

func (m Moment) throttled() float64 { return m.value("cpu/cpu.stat", "throttled_time") / 1e9 }

// visible is how many CPUs the container may use at once.
func (m Moment) visible() float64 {
	cpus := parseCPUs(m.Files["cpuset/cpuset.effective_cpus"])
	quota, period := m.number("cpu/cpu.cfs_quota_us"), m.number("cpu/cpu.cfs_period_us")
	if quota > 0 && period > 0 {
		cpus = min(cpus, max(1, math.Ceil(quota/period)))
	}
	return cpus
}

// start is the boot time at which the container's init started, in seconds.
func (m Moment) start() float64 {
	const startTime = 22 - 3 // field 22; afterName starts with the third
	return numberAt(strings.Join(afterName(m.Files["proc/1/stat"]), " "), startTime) / ticks
}

// middle is a number of a sample in the middle of its time.
func (s Sample) middle(f func(Moment) float64) float64 { return (f(s.Before) + f(s.After)) / 2 }

func at(m Moment) float64 { return m.At.Seconds() }

// rates are the rows of one phase: percent of one CPU.
func (p Phase) rates(file string) []Row {
	percent := func(read func(Sample) Reading, f func(string) float64) float64 {
		from, to := read(p.From), read(p.To)
		return 100 * (f(to.Text) - f(from.Text)) / (to.At - from.At).Seconds()
	}
	ours := func(s Sample) Reading { return s.Ours[file] }
	theirs := func(s Sample) Reading { return s.Theirs[file] }
	grown := func(f func(Moment) float64) float64 { return 100 * (p.To.middle(f) - p.From.middle(f)) }
	wall := p.To.middle(at) - p.From.middle(at)
	used := grown(Moment.usage) / wall
	rest := 100*p.To.After.visible() - used
	refused := min(grown(Moment.throttled)/wall, max(0, rest))
	row := func(what string, f func(string) float64, truth Truth, why string) Row {
		return judge(p.Name+": "+what+", %", percent(ours, f), percent(theirs, f), truth, why)
	}
	return []Row{
		row("user + system", busy, exactly(used).within(cpuPoints), "Δ cpuacct.usage ÷ Δ time, ± 2"),
		row("steal", func(text string) float64 { return column(text, stealColumn) }, exactly(refused).within(idlePoints), "Δ cpu.stat throttled_time ÷ Δ time, ± 5"),
		row("Σ columns", total, exactly(100*p.To.After.visible()).within(cpuPoints), "100 for each visible CPU: tools divide by it, ± 2"),
		row("idle", func(text string) float64 { return column(text, idleColumn) }, exactly(rest-refused).within(idlePoints), "what is left of the visible CPUs, ± 5"),
	}
}

// Stat is the table of /proc/stat: first is the first time that anybody read it,
// last a moment of a loop that runs all the time.
func Stat(first, last Sample, phases []Phase) Table {
	const file = "proc/stat"
	t := Table{File: file, Rows: last.form(file)}
	age := first.between(func(m Moment) float64 { return (at(m) - m.start()) * m.visible() })
	t.Rows = append(t.Rows, judge("cpu: Σ columns at the first read, s", total(first.Ours[file].Text), total(first.Theirs[file].Text), age.within(0.05),
		"visible CPUs × age of the container, as on a machine since its boot"))
	used := first.between(Moment.usage)
	t.Rows = append(t.Rows, judge("cpu: user + system at the first read, s", busy(first.Ours[file].Text), busy(first.Theirs[file].Text), used.within(0.05), "cpuacct.usage"))
	for _, p := range phases {
		t.Rows = append(t.Rows, p.rates(file)...)
	}
	ours, theirs := last.Ours[file].Text, last.Theirs[file].Text
	count := func(text, label string) float64 { return numberAt(line(text, label), 1) }
	for _, label := range []string{"intr", "ctxt", "processes", "softirq"} {
		t.Rows = append(t.Rows, judge(label, count(ours, label), count(theirs, label), nobody(),
			"no cgroup counts them: ours 0, or by policy the host's (`--host-counters`), LXCFS's the host's"))
	}
	t.Rows = append(t.Rows,
		judge("btime", count(ours, "btime"), count(theirs, "btime"), last.between(func(m Moment) float64 { return count(m.Files["host/stat"], "btime") }).within(1), "the host's"),
		judge("procs_running", count(ours, "procs_running"), count(theirs, "procs_running"), last.tasks("R"), "the container's tasks in state R, without and with who reads"),
		judge("procs_blocked", count(ours, "procs_blocked"), count(theirs, "procs_blocked"), last.tasks("D"), "the container's tasks in state D, without and with who reads"))
	return t
}

// tasks counts those in a state, or all of them: the reader's own may or may not
// be among them, since a view's count can be 5 s old.
func (s Sample) tasks(state string) Truth {
	count := func(reader bool) func(Moment) float64 {
		return func(m Moment) float64 {
			n := 0.0
			for _, task := range m.Tasks {
				if (state == "" || task.State == state || task.Reader) && (reader || !task.Reader) {
					n++
				}
			}
			return n
		}
	}
	return Truth{Low: s.between(count(false)).Low, High: s.between(count(true)).High}
}

// Uptime is the table of /proc/uptime.
func Uptime(s Sample) Table {
	const file = "proc/uptime"
	up := s.between(func(m Moment) float64 { return at(m) - m.start() }).within(0.02)
	idle := s.between(func(m Moment) float64 {
		capacity := (at(m) - m.start()) * m.visible()
		return capacity - m.usage() - min(m.throttled(), capacity-m.usage())
	})
	idle.Tolerance = idlePoints * up.High / 100
	ours, theirs := s.Ours[file].Text, s.Theirs[file].Text
	return Table{File: file, Rows: append(s.form(file),
		judge("up, s", numberAt(ours, 0), numberAt(theirs, 0), up, "boot clock − start of init"),
		judge("idle, s", numberAt(ours, 1), numberAt(theirs, 1), idle, "visible CPUs × up − cpuacct.usage − throttled_time, ± 5 %: a task that its quota keeps waiting isn't idle"))}
}

// Loadavg is the table of /proc/loadavg. One task has been running since looping.
func Loadavg(s Sample, looping time.Duration) Table {
	const file = "proc/loadavg"
	t := Table{File: file, Rows: s.form(file)}
	ours, theirs := s.Ours[file].Text, s.Theirs[file].Text
	for i, minutes := range []float64{1, 5, 15} {
		load := func(m Moment) float64 { return 1 - math.Exp(-(at(m)-looping.Seconds())/60/minutes) }
		early, late := s.Before, s.After // the kernel takes a step each 5 s
		early.At -= 5 * time.Second
		late.At += 5 * time.Second
		truth := Truth{Low: max(0, load(early)), High: load(late)}.within(0.02)
		t.Rows = append(t.Rows, judge(fmt.Sprintf("load, %g min", minutes), numberAt(ours, i), numberAt(theirs, i), truth, "one task in state R since the loop began; a step each 5 s"))
	}
	tasks := func(text string, part int) float64 {
		words := append(strings.Fields(text), "", "", "", "")
		return numberAt(strings.Join(strings.Split(words[3], "/"), " "), part)
	}
	last := s.between(func(m Moment) float64 { return m.number("proc/sys/kernel/ns_last_pid") })
	pid := judge("last PID", numberAt(ours, 4), numberAt(theirs, 4), last,
		"ns_last_pid of the container's PID namespace; ours is the largest PID there that is alive, LXCFS's one of the host's numbers")
	pid.Stated = numberAt(ours, 4) >= 1 && numberAt(ours, 4) <= last.High
	t.Rows = append(t.Rows,
		judge("running", tasks(ours, 0), tasks(theirs, 0), s.tasks("R"), "the container's tasks in state R, without and with who reads"),
		judge("tasks", tasks(ours, 1), tasks(theirs, 1), s.tasks(""), "the container's tasks, without and with who reads"),
		pid)
	return t
}
