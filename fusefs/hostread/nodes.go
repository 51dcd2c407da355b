// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// nodes are the files of NUMA nodes. Nodes come and go with their memory, so
// their files are opened when they are first read.
type nodes struct {
	path  string
	clock func() time.Time

	mu   sync.Mutex
	byID map[int]*node
}

// node is the files of one node.
type node struct {
	meminfo          *document[*procfile.NodeMeminfo]
	numastat         *document[*procfile.Numastat]
	cpulist          *document[cpulist.Set]
	cpumap, distance *document[[]byte]
}

// maxNode is the largest number that a node can have (MAX_NUMNODES - 1 of
// include/linux/numa.h).
const maxNode = 1023

func (n *nodes) open(path string, clock func() time.Time) {
	n.path, n.clock, n.byID = path, clock, map[int]*node{}
}

func (n *nodes) close() (failed error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.byID {
		for _, f := range one.files() {
			failed = errors.Join(failed, f.close())
		}
	}
	clear(n.byID)
	return failed
}

// at returns the files of a node.
func (n *nodes) at(id int) (*node, error) {
	if id < 0 || id > maxNode {
		return nil, errorf("no node has the number %d", id)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if one, ok := n.byID[id]; ok {
		return one, nil
	}
	path := func(name string) string { return filepath.Join(n.path, fmt.Sprintf("node%d", id), name) }
	one := &node{
		meminfo:  newDocument(path("meminfo"), n.clock, parseInto[procfile.NodeMeminfo]),
		numastat: newDocument(path("numastat"), n.clock, parseInto[procfile.Numastat]),
		cpulist:  newDocument(path("cpulist"), n.clock, parseList),
		cpumap:   newDocument(path("cpumap"), n.clock, parseText),
		distance: newDocument(path("distance"), n.clock, parseText),
	}
	n.byID[id] = one
	return one, nil
}

func (n *node) files() []*file {
	return []*file{&n.meminfo.file, &n.numastat.file, &n.cpulist.file, &n.cpumap.file, &n.distance.file}
}

// NodeMeminfo returns a node's meminfo.
func (r Reader) NodeMeminfo(id int) (*procfile.NodeMeminfo, error) {
	n, err := r.files.nodes.at(id)
	if err != nil {
		return nil, err
	}
	return n.meminfo.get(r.record)
}

// NodeNumastat returns a node's numastat.
func (r Reader) NodeNumastat(id int) (*procfile.Numastat, error) {
	n, err := r.files.nodes.at(id)
	if err != nil {
		return nil, err
	}
	return n.numastat.get(r.record)
}

// NodeCPUs returns a node's CPUs, its cpulist.
func (r Reader) NodeCPUs(id int) (cpulist.Set, error) {
	n, err := r.files.nodes.at(id)
	if err != nil {
		return cpulist.Set{}, err
	}
	return n.cpulist.get(r.record)
}

// NodeCPUMap returns the text of a node's cpumap.
func (r Reader) NodeCPUMap(id int) ([]byte, error) {
	n, err := r.files.nodes.at(id)
	if err != nil {
		return nil, err
	}
	return n.cpumap.get(r.record)
}

// NodeDistance returns the text of a node's distance.
func (r Reader) NodeDistance(id int) ([]byte, error) {
	n, err := r.files.nodes.at(id)
	if err != nil {
		return nil, err
	}
	return n.distance.get(r.record)
}
