// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// A NodeMeminfo is the content of /sys/devices/system/node/nodeN/meminfo
// (drivers/base/node.c), the memory of one NUMA node:
//
//	Node 0 MemTotal:       11495640 kB
//	Node 0 HugePages_Total:     0
//
// It is a list of rows as [Meminfo] is, with names that are most often the same,
// such as "MemTotal".
type NodeMeminfo struct{ table }

// A Numastat is the content of /sys/devices/system/node/nodeN/numastat
// (drivers/base/node.c): rows of a name and a count of pages.
type Numastat struct{ table }

//nolint:gochecknoglobals // constant tables
var (
	nodeMeminfoForm = tableForm{
		path: "sys/devices/system/node/node*/meminfo", cut: cutNodeLine, required: "MemTotal", inKB: true,
	}
	numastatForm = tableForm{
		path: "sys/devices/system/node/node*/numastat", cut: cutPlainLine, required: "numa_hit",
	}
)

// ParseNodeMeminfo parses the whole of a node's meminfo. The text is copied. The
// error is a [*ParseError].
func ParseNodeMeminfo(text []byte) (*NodeMeminfo, error) {
	m := new(NodeMeminfo)
	if err := m.Parse(text); err != nil {
		return nil, err
	}
	return m, nil
}

// Parse replaces what m holds by the whole of text, which is copied, and keeps
// m's memory: parsing the same rows again allocates nothing. After an error m is
// empty.
func (m *NodeMeminfo) Parse(text []byte) error { return m.parse(nodeMeminfoForm, text) }

// CopyFrom makes m an independent copy of src, reusing m's memory.
func (m *NodeMeminfo) CopyFrom(src *NodeMeminfo) { m.copyFrom(&src.table) }

// ParseNumastat parses the whole of a node's numastat. The text is copied. The
// error is a [*ParseError].
func ParseNumastat(text []byte) (*Numastat, error) {
	n := new(Numastat)
	if err := n.Parse(text); err != nil {
		return nil, err
	}
	return n, nil
}

// Parse replaces what n holds by the whole of text, which is copied, and keeps
// n's memory. After an error n is empty.
func (n *Numastat) Parse(text []byte) error { return n.parse(numastatForm, text) }

// CopyFrom makes n an independent copy of src, reusing n's memory.
func (n *Numastat) CopyFrom(src *Numastat) { n.copyFrom(&src.table) }

// cutNodeLine takes "Node 0 Name:   123 kB" or "Node 0 Name:   123" apart. The
// labels are fixed text, which differs between kernels in a blank here and there
// (FileHugePages in 6.1 and 6.18), and numbers have 8 columns, or 5 where they count
// pages (hugetlb_report_node_meminfo, mm/hugetlb.c).
func cutNodeLine(line []byte) (name []byte, r row, cause error) {
	const bytesWidth, countWidth = 8, 5
	rest, found := bytes.CutPrefix(line, []byte("Node "))
	id, rest, _ := bytes.Cut(rest, []byte{' '})
	name, number, isRow := bytes.Cut(rest, []byte{':'})
	if _, isNode := parseUint(id); !found || !isNode || !isRow || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return nil, row{}, nil
	}
	width := bytesWidth
	if !bytes.HasSuffix(number, []byte(" kB")) {
		width = countWidth
	}
	r, ok := cutAligned(line, len(line)-len(number), width)
	switch {
	case ok:
		return name, r, nil
	case knownMeminfoRow(name) || string(name) == "MemUsed" || string(name) == "FilePages":
		return nil, row{}, ErrNumber
	}
	return nil, row{}, nil
}
