// SPDX-License-Identifier: Apache-2.0

package source

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Each source reads the cgroup, asks the host, and leaves what the numbers mean to
// package view and what they look like to package procfile.

// cpuinfo is proc/cpuinfo.
type cpuinfo struct{}

func (cpuinfo) append(dst []byte, m *moment) ([]byte, error) { return appendAny(cpuinfo{}, dst, m) }

func (cpuinfo) appendNew(dst []byte, m *moment, known Version) ([]byte, Version, error) {
	host, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, Version{}, err
	}
	text, version, err := m.host.CPUInfo(host, m.Linux32)
	if err != nil {
		return nil, Version{}, err
	}
	v := Version{cpus: visible, numbering: m.Policy.Numbering, text: version}
	if v.Equal(known) {
		return dst, v, nil
	}
	shown := &m.room.cpuinfo
	view.CPUInfoInto(shown, text, visible, m.Policy)
	return shown.Append(dst), v, nil
}

// online is sys/devices/system/cpu/online.
type online struct{}

func (online) append(dst []byte, m *moment) ([]byte, error) { return appendAny(online{}, dst, m) }

func (online) appendNew(dst []byte, m *moment, known Version) ([]byte, Version, error) {
	_, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, Version{}, err
	}
	return appendList(dst, m.numbered(visible), known)
}

// offline is sys/devices/system/cpu/offline: the possible CPUs that online doesn't
// name.
type offline struct{}

func (offline) append(dst []byte, m *moment) ([]byte, error) { return appendAny(offline{}, dst, m) }

func (offline) appendNew(dst []byte, m *moment, known Version) ([]byte, Version, error) {
	_, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, Version{}, err
	}
	possible, err := m.host.List(hostread.Possible)
	if err != nil {
		return nil, Version{}, err
	}
	return appendList(dst, possible.Minus(m.numbered(visible)), known)
}

// appendList appends a list of CPUs that isn't the known one.
func appendList(dst []byte, cpus cpulist.Set, known Version) ([]byte, Version, error) {
	v := Version{cpus: cpus, text: anyText}
	if v.Equal(known) {
		return dst, v, nil
	}
	return append(cpus.Append(dst), '\n'), v, nil
}

// numbered gives CPUs the numbers that the container sees.
func (m *moment) numbered(visible cpulist.Set) cpulist.Set {
	if m.Policy.Numbering == view.NumberingContiguous {
		return cpulist.Range(0, visible.Len()-1)
	}
	return visible
}

// visibleCPUs returns the CPUs that the host has online and those of them that
// the container sees, both in the kernel's numbers.
func (m *moment) visibleCPUs() (host, visible cpulist.Set, err error) {
	chain := &m.room.usage.Chain
	if err := m.cgroup.CPUInto(chain); err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	host, err = m.host.Online()
	if err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	return host, view.VisibleCPUs(host, *chain, m.Policy), nil
}

// cpuTimes returns what the container's CPUs have been doing; root says that it is
// the root cgroup, of which nothing is known.
func (m *moment) cpuTimes() (columns []cputime.Column, root bool, err error) {
	usage := &m.room.usage
	if err := m.cgroup.CPUTime(usage); err != nil {
		return nil, false, err
	}
	if len(usage.Chain.Levels) == 0 {
		return nil, true, nil
	}
	host, err := m.host.Online()
	if err != nil {
		return nil, false, err
	}
	sample := cputime.Sample{
		Now: m.now, Start: m.init.Start, Usage: *usage,
		Visible: m.numbered(view.VisibleCPUs(host, usage.Chain, m.Policy)),
	}
	if m.Policy.Numbering == view.NumberingContiguous {
		// cpu0 is whichever CPU comes first, another one after a change of the
		// cpuset; its line must not fall then, so it is nobody's in particular.
		sample.Usage.PerCPU = nil
	}
	return m.columns(sample), false, nil
}

// root says whether the container is the root cgroup.
func (m *moment) root() (bool, error) { return m.cgroup.IsRoot() }

// theHosts appends the host's own text.
func (m *moment) theHosts(dst []byte, path string) ([]byte, error) {
	return m.host.Append(dst, path, m.Linux32)
}

// stat is proc/stat.
type stat struct{}

func (stat) append(dst []byte, m *moment) ([]byte, error) {
	const path = "proc/stat"
	if m.Policy.CPUView == view.CPUViewHost {
		return m.theHosts(dst, path)
	}
	columns, root, err := m.cpuTimes()
	if err != nil {
		return nil, err
	}
	if root {
		return m.theHosts(dst, path)
	}
	tasks, err := m.tasks()
	if err != nil {
		return nil, err
	}
	host, err := m.host.Stat()
	if err != nil {
		return nil, err
	}
	shown := &m.room.stat
	view.StatInto(shown, host, columns, view.Tasks{Running: tasks.Loadavg.Running, Blocked: tasks.Blocked}, m.init.BootOffset, m.Policy)
	return shown.Append(dst), nil
}

// uptime is proc/uptime.
type uptime struct{}

func (uptime) append(dst []byte, m *moment) ([]byte, error) {
	const path = "proc/uptime"
	up, ok := m.up()
	if !ok {
		return m.theHosts(dst, path)
	}
	if m.Policy.CPUView == view.CPUViewHost {
		return m.hostIdle(dst, procfile.Uptime{Up: procfile.TicksOf(up)})
	}
	columns, root, err := m.cpuTimes()
	if err != nil {
		return nil, err
	}
	if root {
		return m.theHosts(dst, path)
	}
	return view.Uptime(up, columns).Append(dst), nil
}

// hostIdle is uptime beside the host's stat.
func (m *moment) hostIdle(dst []byte, u procfile.Uptime) ([]byte, error) {
	host, err := m.host.Stat()
	if err != nil {
		return nil, err
	}
	if sum := host.Sum(); len(sum) > procfile.StatIdle {
		u.Idle = sum[procfile.StatIdle]
	}
	return u.Append(dst), nil
}

// loadavg is proc/loadavg.
type loadavg struct{}

func (loadavg) append(dst []byte, m *moment) ([]byte, error) {
	const path = "proc/loadavg"
	if m.Policy.Loadavg == view.WhoseHost {
		return m.theHosts(dst, path)
	}
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	if root {
		return m.theHosts(dst, path)
	}
	tasks, err := m.tasks()
	if err != nil {
		return nil, err
	}
	return tasks.Loadavg.Append(dst), nil
}

// pressure is proc/pressure/RESOURCE.
type pressure struct{ resource string }

func (p pressure) append(dst []byte, m *moment) ([]byte, error) {
	text, ok, err := m.cgroup.Pressure(m.room.text[:0], p.resource)
	if err != nil {
		return nil, err
	}
	var own *procfile.Pressure
	if ok {
		m.room.text = text
		own = &m.room.pressure[0]
		if err := own.Parse(text); err != nil {
			return nil, err
		}
	} else {
		root, err := m.root()
		if err != nil {
			return nil, err
		}
		if root {
			return m.theHosts(dst, "proc/pressure/"+p.resource)
		}
	}
	host, err := m.host.Pressure(p.resource)
	if err != nil {
		return nil, err
	}
	shown := &m.room.pressure[1]
	view.PressureInto(shown, host, own)
	return shown.Append(dst), nil
}
