// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"io/fs"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/sysdir"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// The sources of sys/devices/system/node.

// shownNodes returns the NUMA nodes that the host has online, and those of them
// that the container is shown.
func shownNodes(host hostread.Reader, cgroup cgroupread.Reader) (online, shown cpulist.Set, err error) {
	online, err = host.List(hostread.NodeOnline)
	if err == nil && online.IsEmpty() {
		err = fmt.Errorf("%w: %s: no node is online", hostread.ErrUnreadable, hostread.NodeOnline)
	}
	if err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	mems, limited, err := cgroup.Mems()
	if err != nil {
		return cpulist.Set{}, cpulist.Set{}, err
	}
	return online, view.ShownNodes(online, mems, limited), nil
}

// nodeList is one of the lists of nodes.
type nodeList struct{ path string }

func (l nodeList) append(dst []byte, m *moment) ([]byte, error) {
	list, err := m.host.List(l.path)
	if err != nil {
		return nil, err
	}
	online, shown, err := shownNodes(m.host, m.cgroup)
	if err != nil {
		return nil, err
	}
	switch l.path {
	case hostread.NodePossible: // arrays are indexed up to it
		shown = list
	case hostread.NodeHasCPU:
		_, visible, err := m.visibleCPUs()
		if err != nil {
			return nil, err
		}
		nodes, err := m.hostNodes(online.Intersect(shown), false)
		if err != nil {
			return nil, err
		}
		shown = view.NodesWithCPUs(nodes, m.numbered(visible))
	}
	return append(list.Intersect(shown).Append(dst), '\n'), nil
}

// hostNodes returns what the host says of nodes, in the room.
func (m *moment) hostNodes(nodes cpulist.Set, memory bool) ([]view.HostNode, error) {
	m.room.hosts = m.room.hosts[:0]
	for id := 0; id <= nodes.Max(); id++ {
		if !nodes.Has(id) {
			continue
		}
		one := view.HostNode{ID: id}
		var err error
		if one.CPUs, err = m.host.NodeCPUs(id); err != nil {
			return nil, err
		}
		if memory {
			if one.Meminfo, err = m.host.NodeMeminfo(id); err != nil {
				return nil, err
			}
		}
		m.room.hosts = append(m.room.hosts, one)
	}
	return m.room.hosts, nil
}

// nodeSource is the source of a node's file that says something else in a container
// than on the host, or nil.
func nodeSource(p passed) source {
	switch p.entry.Rule {
	case sysdir.NodeMeminfo:
		return nodeMeminfo{p}
	case sysdir.NodeCPUList, sysdir.NodeCPUMap:
		return nodeCPUs{p}
	case sysdir.NodeNumastat:
		return nodeNumastat{p}
	case sysdir.NodeDistance:
		return nodeDistance{p}
	}
	return nil
}

// shown is the node that the file is of, if the container is shown it, else
// fs.ErrNotExist.
func (p passed) shown(m *moment) (id int, online, shown cpulist.Set, err error) {
	online, shown, err = shownNodes(m.host, m.cgroup)
	if err == nil && !shown.Has(p.entry.First) {
		err = &fs.PathError{Op: "show", Path: p.entry.Path, Err: fs.ErrNotExist}
	}
	return p.entry.First, online, shown, err
}

// nodeMeminfo is nodeN/meminfo.
type nodeMeminfo struct{ passed }

func (n nodeMeminfo) append(dst []byte, m *moment) ([]byte, error) {
	id, _, shown, err := n.shown(m)
	if err != nil {
		return nil, err
	}
	if err := m.readMemory(); err != nil {
		return nil, err
	}
	if len(m.room.chain) == 0 {
		return n.passed.append(dst, m)
	}
	meminfo, err := m.meminfo()
	if err != nil {
		return nil, err
	}
	room := m.room
	if room.nodes, err = m.cgroup.NodeMemory(room.nodes[:0]); err != nil {
		return nil, err
	}
	nodes, err := m.hostNodes(shown, true)
	if err != nil {
		return nil, err
	}
	at := 0
	for at < len(nodes)-1 && nodes[at].ID != id {
		at++
	}
	room.split.MeminfoInto(&room.node, nodes, at, meminfo, room.nodes)
	return room.node.Append(dst), nil
}

// nodeCPUs is nodeN/cpulist and nodeN/cpumap.
type nodeCPUs struct{ passed }

func (n nodeCPUs) append(dst []byte, m *moment) ([]byte, error) {
	id, _, _, err := n.shown(m)
	if err != nil {
		return nil, err
	}
	_, visible, err := m.visibleCPUs()
	if err != nil {
		return nil, err
	}
	visible = m.numbered(visible)
	if n.entry.Rule == sysdir.NodeCPUMap {
		text, err := m.host.NodeCPUMap(id)
		if err != nil {
			return nil, err
		}
		return view.AppendCPUMap(dst, text, visible), nil
	}
	cpus, err := m.host.NodeCPUs(id)
	if err != nil {
		return nil, err
	}
	return append(cpus.Intersect(visible).Append(dst), '\n'), nil
}

// nodeNumastat is nodeN/numastat.
type nodeNumastat struct{ passed }

func (n nodeNumastat) append(dst []byte, m *moment) ([]byte, error) {
	id, _, _, err := n.shown(m)
	if err != nil {
		return nil, err
	}
	root, err := m.root()
	if err != nil {
		return nil, err
	}
	if root {
		return n.passed.append(dst, m)
	}
	host, err := m.host.NodeNumastat(id)
	if err != nil {
		return nil, err
	}
	view.NumastatInto(&m.room.numastat, host, m.Policy)
	return m.room.numastat.Append(dst), nil
}

// nodeDistance is nodeN/distance.
type nodeDistance struct{ passed }

func (n nodeDistance) append(dst []byte, m *moment) ([]byte, error) {
	id, online, shown, err := n.shown(m)
	if err != nil {
		return nil, err
	}
	text, err := m.host.NodeDistance(id)
	if err != nil {
		return nil, err
	}
	return view.AppendNodeDistance(dst, text, online, shown), nil
}
