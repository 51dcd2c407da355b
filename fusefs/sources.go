// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// The sources of the files in the table. Each reads the cgroup, asks the host,
// and leaves what the numbers mean to package view and what they look like to
// package procfile.

// cpuinfo is proc/cpuinfo.
type cpuinfo struct{}

// Append implements source.
func (cpuinfo) Append(dst []byte, m moment) ([]byte, error) {
	host, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, err
	}
	read := m.host.files.CPUInfo
	if m.linux32 {
		read = m.host.files.CPUInfo32
	}
	text, err := read(host)
	if err != nil {
		return nil, err
	}
	shown, _ := m.host.cpuinfos.Get().(*procfile.CPUInfo)
	if shown == nil {
		shown = new(procfile.CPUInfo)
	}
	defer m.host.cpuinfos.Put(shown)
	view.CPUInfoInto(shown, text, visible, m.policy)
	return shown.Append(dst), nil
}

// online is sys/devices/system/cpu/online.
type online struct{}

// Append implements source.
func (online) Append(dst []byte, m moment) ([]byte, error) {
	_, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, err
	}
	if m.policy.Numbering == view.NumberingContiguous {
		visible = cpulist.Range(0, visible.Len()-1)
	}
	return append(visible.Append(dst), '\n'), nil
}

// visibleCPUs returns the CPUs that the host has online and those of them that
// the container sees, both in the kernel's numbers.
func (m moment) visibleCPUs() (host, visible cpulist.Set, err error) {
	chain, err := m.cgroup.CPU()
	if err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	host, err = m.host.files.Online()
	if err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	return host, view.VisibleCPUs(host, chain, m.policy), nil
}

// meminfo is proc/meminfo.
type meminfo struct{}

// Append implements source.
func (meminfo) Append(dst []byte, m moment) ([]byte, error) {
	chain, err := m.cgroup.Memory()
	if err != nil {
		return nil, err
	}
	host, err := m.host.files.Memory()
	if err != nil {
		return nil, err
	}
	// Most hosts have no huge pages; then there are none to be limited, and half
	// of the files that would be read here aren't.
	var huge limits.HugetlbChain
	if bytes, known := host.Meminfo.Get("Hugetlb"); !known || bytes > 0 {
		if huge, err = m.cgroup.Hugetlb(); err != nil {
			return nil, err
		}
	}
	overcommit := view.Overcommit{Ratio: host.OvercommitRatio, KBytes: host.OvercommitKBytes}
	shown, _ := m.host.meminfos.Get().(*procfile.Meminfo)
	if shown == nil {
		shown = new(procfile.Meminfo)
	}
	defer m.host.meminfos.Put(shown)
	view.MeminfoInto(shown, host.Meminfo, overcommit, chain, huge, m.policy)
	return shown.Append(dst), nil
}
