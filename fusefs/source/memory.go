// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// meminfo is proc/meminfo.
type meminfo struct{}

func (meminfo) append(dst []byte, m *moment) ([]byte, error) {
	if err := m.readMemory(); err != nil {
		return nil, err
	}
	shown, err := m.meminfo()
	if err != nil {
		return nil, err
	}
	return shown.Append(dst), nil
}

// readMemory reads the memory chain into the room.
func (m *moment) readMemory() (err error) {
	m.room.chain, err = m.cgroup.AppendMemory(m.room.chain[:0])
	return err
}

// meminfo makes the container's meminfo in the room, of the chain that is there.
func (m *moment) meminfo() (*procfile.Meminfo, error) {
	host, err := m.host.Memory()
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
	shown := &m.room.meminfo
	view.MeminfoInto(shown, host.Meminfo, overcommit(host), m.room.chain, huge, m.Policy)
	return shown, nil
}

func overcommit(host hostread.Memory) view.Overcommit {
	return view.Overcommit{Ratio: host.OvercommitRatio, KBytes: host.OvercommitKBytes}
}

// swaps is proc/swaps.
type swaps struct{}

func (swaps) append(dst []byte, m *moment) ([]byte, error) {
	if err := m.readMemory(); err != nil {
		return nil, err
	}
	if len(m.room.chain) == 0 {
		return m.theHosts(dst, "proc/swaps")
	}
	memory, err := m.host.Memory()
	if err != nil {
		return nil, err
	}
	host, err := m.host.Swaps()
	if err != nil {
		return nil, err
	}
	total, free := view.SwapNumbers(memory.Meminfo, m.room.chain, m.Policy)
	shown := &m.room.swaps
	view.SwapsInto(shown, host, total, free)
	return shown.Append(dst), nil
}

// vmstat is proc/vmstat.
type vmstat struct{}

func (vmstat) append(dst []byte, m *moment) ([]byte, error) {
	if err := m.readMemory(); err != nil {
		return nil, err
	}
	if len(m.room.chain) == 0 {
		return m.theHosts(dst, "proc/vmstat")
	}
	meminfo, err := m.meminfo()
	if err != nil {
		return nil, err
	}
	host, err := m.host.Vmstat()
	if err != nil {
		return nil, err
	}
	room := m.room
	if room.counters, err = m.cgroup.MemoryCounters(room.counters[:0]); err != nil {
		return nil, err
	}
	devices, counted, err := m.cgroup.IO(room.devices[:0])
	if err != nil {
		return nil, err
	}
	room.devices = devices
	free, _ := meminfo.Get("MemFree")
	in := view.VmstatInput{
		Counters: room.counters, MemFree: free, Page: uint64(os.Getpagesize()), HugePage: m.host.HugePage(),
	}
	if counted {
		in.IO = devices
	}
	view.VmstatInto(&room.vmstat, host, &in, m.Policy)
	return room.vmstat.Append(dst), nil
}

// diskstats is proc/diskstats.
type diskstats struct{}

func (diskstats) append(dst []byte, m *moment) ([]byte, error) {
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	if root {
		return m.theHosts(dst, "proc/diskstats")
	}
	room := m.room
	if room.devices, _, err = m.cgroup.IO(room.devices[:0]); err != nil {
		return nil, err
	}
	host, err := m.host.Diskstats()
	if err != nil {
		return nil, err
	}
	view.DiskstatsInto(&room.diskstats, host, room.devices)
	return room.diskstats.Append(dst), nil
}

// slabinfo is proc/slabinfo.
type slabinfo struct{}

func (slabinfo) append(dst []byte, m *moment) ([]byte, error) {
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	if root {
		return m.theHosts(dst, "proc/slabinfo")
	}
	text, ok, err := m.cgroup.Slabinfo(m.room.text[:0])
	if err != nil {
		return nil, err
	}
	var own *procfile.Slabinfo
	if ok && len(text) > 0 {
		m.room.text = text
		own = &m.room.slabinfo[0]
		if err := own.Parse(text); err != nil {
			return nil, err
		}
	}
	host, err := m.host.Slabinfo()
	if err != nil {
		return nil, err
	}
	shown := &m.room.slabinfo[1]
	view.SlabinfoInto(shown, host, own)
	return shown.Append(dst), nil
}
