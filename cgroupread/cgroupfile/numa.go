// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"math"
	"slices"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// ParseNumaStat reads v2's memory.numa_stat, "anon N0=4096 N1=0" in bytes, and
// appends the nodes in the file's order.
func ParseNumaStat(dst []limits.NodeMemory, text []byte) ([]limits.NodeMemory, error) {
	nodes, err := numaStat(dst[len(dst):], text, ' ', func(stat *limits.MemoryStat, key []byte, n uint64) {
		if field := statField(key, stat); field != nil {
			*field = n
		}
	})
	for i := range nodes {
		stat := &nodes[i].Stat // which has no line of its own here
		stat.Slab = add(stat.SlabReclaimable, stat.SlabUnreclaimable)
	}
	return append(dst, nodes...), err
}

// ParseNumaStatV1 reads v1's memory.numa_stat, "hierarchical_anon=7 N0=7" in
// pages, and appends the nodes. What v1 calls anon and file are the reclaim
// lists of that kind, so shmem is in Anon here and not in File
// (memcg_numa_stat_show, mm/memcontrol-v1.c).
func ParseNumaStatV1(dst []limits.NodeMemory, text []byte, pageSize uint64) ([]limits.NodeMemory, error) {
	nodes, err := numaStat(dst[len(dst):], text, '=', func(stat *limits.MemoryStat, key []byte, n uint64) {
		bytes := uint64(math.MaxUint64)
		if n <= bytes/pageSize {
			bytes = n * pageSize
		}
		switch string(key) {
		case "hierarchical_anon":
			stat.Anon = bytes
		case "hierarchical_file":
			stat.File = bytes
		case "hierarchical_unevictable":
			stat.Unevictable = bytes
		}
	})
	return append(dst, nodes...), err
}

// numaStat calls set for each "Nn=number" behind a key, which ends with end: v1
// puts the sum of all nodes behind it.
func numaStat(
	nodes []limits.NodeMemory, text []byte, end byte, set func(stat *limits.MemoryStat, key []byte, n uint64),
) ([]limits.NodeMemory, error) {
	err := eachLine(text, func(number int, line []byte) error {
		head, rest, _ := bytes.Cut(line, []byte(" "))
		key, _, ok := bytes.Cut(head, []byte{end})
		if len(key) == 0 || len(rest) == 0 || end == '=' && !ok {
			return lineError(number, line, errNotNode)
		}
		for rest = bytes.TrimSpace(rest); len(rest) > 0; {
			var field []byte
			field, rest, _ = bytes.Cut(rest, []byte(" "))
			name, value, ok := bytes.Cut(field, []byte("="))
			if !ok || len(name) < 2 || name[0] != 'N' {
				return lineError(number, line, errNotNode)
			}
			node, err := parseUint(name[1:])
			if err != nil || node > math.MaxInt32 {
				return lineError(number, line, errNotNode)
			}
			n, err := parseUint(value)
			if err != nil {
				return lineError(number, line, err)
			}
			i := slices.IndexFunc(nodes, func(m limits.NodeMemory) bool { return m.Node == int(node) })
			if i < 0 {
				i = len(nodes)
				nodes = append(nodes, limits.NodeMemory{Node: int(node)})
			}
			set(&nodes[i].Stat, key, n)
		}
		return nil
	})
	return nodes, err
}

// add is a + b, saturating.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
