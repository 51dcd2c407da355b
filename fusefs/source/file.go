// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A File is one served file: a row of the table.
type File struct {
	// Path is where the file is in a view and, with a "/" before it, in a
	// container: "proc/meminfo".
	Path string
	// Number is the file's part of its inode number. It never changes and is
	// never given to another file: kernels remember it across an upgrade.
	Number uint32
	// Mode holds the permission bits that the file has where the host's file
	// can't be asked; elsewhere it has the host file's.
	Mode uint32
	// Static says that the text changes only with the set of CPUs, so that a
	// bound tree may let the kernel keep it. In the shared tree nothing may.
	Static bool
	// BindByDefault says that the file is put over a container's own unless
	// others are asked for, if the host has it.
	BindByDefault bool
	// Summary says in a few words what the file shows, for documentation.
	Summary string

	source source
}

// A source generates the text of one file.
type source interface {
	// append appends the text that the container sees at this moment to dst and
	// returns the longer slice. On an error what it returns is not used.
	append(dst []byte, m *moment) ([]byte, error)
}

// A moment is what a source may ask: the host, and the cgroup of the container
// that the text is for, whose files it should read once each.
type moment struct {
	*Container
	How

	host   hostread.Reader
	cgroup cgroupread.Reader
	now    time.Duration // the boot clock
	room   *room
}

// How a text is to be made.
type How struct {
	Policy view.Policy
	// Linux32: the reader has the personality PER_LINUX32, and sees 32-bit forms
	// where the kernel has such.
	Linux32 bool
	// Record takes note of what is read; it may be nil.
	Record *Record
}

// files is the table of served files. Numbers from 16 on are files';
// directories have those below.
//
//nolint:gochecknoglobals // a constant table
var files = []File{
	{
		Path: "proc/cpuinfo", Number: 16, Mode: 0o444, Static: true, BindByDefault: true,
		Summary: "the CPUs that the container may use",
		source:  cpuinfo{},
	},
	{
		Path: "proc/meminfo", Number: 17, Mode: 0o444, BindByDefault: true,
		Summary: "memory and swap within the container's limits",
		source:  meminfo{},
	},
	{
		Path: "proc/stat", Number: 19, Mode: 0o444, BindByDefault: true,
		Summary: "what the container's CPUs have been doing since its start",
		source:  stat{},
	},
	{
		Path: "proc/uptime", Number: 20, Mode: 0o444, BindByDefault: true,
		Summary: "the time since the container's start, and how much of it its CPUs were idle",
		source:  uptime{},
	},
	{
		Path: "proc/loadavg", Number: 21, Mode: 0o444, BindByDefault: true,
		Summary: "how many of the container's tasks run or wait, on average",
		source:  loadavg{},
	},
	{
		Path: "proc/diskstats", Number: 22, Mode: 0o444, BindByDefault: true,
		Summary: "what the container read from and wrote to each block device",
		source:  diskstats{},
	},
	{
		Path: "proc/swaps", Number: 23, Mode: 0o444, BindByDefault: true,
		Summary: "the swap within the container's limits, as one area",
		source:  swaps{},
	},
	{
		Path: "proc/slabinfo", Number: 24, Mode: 0o400, BindByDefault: true,
		Summary: "the kernel's caches that are charged to the container, where the kernel tells",
		source:  slabinfo{},
	},
	{
		Path: "proc/vmstat", Number: 25, Mode: 0o444, BindByDefault: true,
		Summary: "pages and events of the container's memory",
		source:  vmstat{},
	},
	{
		Path: "proc/pressure/cpu", Number: 26, Mode: 0o444, BindByDefault: true,
		Summary: "how long the container's tasks waited for a CPU",
		source:  pressure{"cpu"},
	},
	{
		Path: "proc/pressure/memory", Number: 27, Mode: 0o444, BindByDefault: true,
		Summary: "how long the container's tasks waited for memory",
		source:  pressure{"memory"},
	},
	{
		Path: "proc/pressure/io", Number: 28, Mode: 0o444, BindByDefault: true,
		Summary: "how long the container's tasks waited for block devices",
		source:  pressure{"io"},
	},
	{
		Path: "proc/pressure/irq", Number: 29, Mode: 0o444, BindByDefault: true,
		Summary: "how long the container's tasks waited for interrupts to be handled",
		source:  pressure{"irq"},
	},
	{
		Path: "sys/devices/system/cpu/online", Number: 18, Mode: 0o444, Static: true, BindByDefault: true,
		Summary: "the ids of the CPUs in proc/cpuinfo",
		source:  online{},
	},
	{
		Path: "sys/devices/system/cpu/offline", Number: 30, Mode: 0o444, Static: true, BindByDefault: true,
		Summary: "the ids of the other CPUs that the machine could have",
		source:  offline{},
	},
	// Whoever wants these takes the directory: the files of each node say the rest.
	{
		Path: "sys/devices/system/node/online", Number: 31, Mode: 0o444,
		Summary: "the NUMA nodes that the container may have memory on",
		source:  nodeList{hostread.NodeOnline},
	},
	{
		Path: "sys/devices/system/node/possible", Number: 32, Mode: 0o444,
		Summary: "the NUMA nodes that the machine could have",
		source:  nodeList{hostread.NodePossible},
	},
	{
		Path: "sys/devices/system/node/has_cpu", Number: 33, Mode: 0o444,
		Summary: "the NUMA nodes that have CPUs of the container",
		source:  nodeList{hostread.NodeHasCPU},
	},
	{
		Path: "sys/devices/system/node/has_memory", Number: 34, Mode: 0o444,
		Summary: "the NUMA nodes that have memory for the container",
		source:  nodeList{hostread.NodeHasMemory},
	},
	{
		Path: "sys/devices/system/node/has_normal_memory", Number: 35, Mode: 0o444,
		Summary: "those of has_memory that have ordinary memory",
		source:  nodeList{hostread.NodeHasNormal},
	},
}

// A Numbered is a directory of a view that stands in the table.
type Numbered struct {
	Path   string
	Number uint32
}

// directories numbers the directories of a view. As with files, a number keeps
// its meaning for ever; 1 is the top of a view and is not listed here.
//
//nolint:gochecknoglobals // a constant table
var directories = []Numbered{
	{"proc", 2},
	{"sys", 3},
	{"sys/devices", 4},
	{"sys/devices/system", 5},
	{"sys/devices/system/cpu", 6},
	{"proc/pressure", 7},
	{"sys/devices/system/node", 8},
}

// Files returns the table of served files, in the order of listings. The slice
// is the caller's.
func Files() []File { return slices.Clone(files) }

// Numbers returns the directories of the table.
func Numbers() []Numbered { return slices.Clone(directories) }
