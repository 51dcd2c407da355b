// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"slices"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A File is one served file: a row of the table.
type File struct {
	// Path is where the file is in a view and, with a "/" before it, in a
	// container: "proc/meminfo".
	Path string
	// Number is the file's part of its inode number. It never changes and is
	// never given to another file: kernels remember it across an upgrade.
	Number uint16
	// Mode holds the permission bits that the file has where the host's file
	// can't be asked; elsewhere it has the host file's.
	Mode uint32
	// Static says that the text changes only with the set of CPUs, so that a
	// bound tree may let the kernel keep it. In the shared tree nothing may.
	Static bool
	// BindByDefault says that the file is put over a container's own unless
	// others are asked for. Files that runtimes refuse to mount over are served
	// only.
	BindByDefault bool
	// Summary says in a few words what the file shows, for documentation.
	Summary string

	source source
}

// A source generates the text of one file.
type source interface {
	// Append appends the text that the container sees at this moment to dst and
	// returns the longer slice. On an error what it returns is not used.
	Append(dst []byte, m moment) ([]byte, error)
}

// A moment is what a source may ask: the host, and the cgroup of the container
// that the text is for, whose files it should read once each.
type moment struct {
	host   *Host
	cgroup *cgroupread.Cgroup
	policy view.Policy
	// linux32: the reader has the personality PER_LINUX32, and sees 32-bit forms
	// where the kernel has such.
	linux32 bool
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
		Path: "sys/devices/system/cpu/online", Number: 18, Mode: 0o444, Static: true, BindByDefault: true,
		Summary: "the ids of the CPUs in proc/cpuinfo",
		source:  online{},
	},
}

// directories numbers the directories of a view. As with files, a number keeps
// its meaning for ever; 1 is the top of a view and is not listed here.
//
//nolint:gochecknoglobals // a constant table
var directories = []struct {
	path   string
	number uint16
}{
	{"proc", 2},
	{"sys", 3},
	{"sys/devices", 4},
	{"sys/devices/system", 5},
	{"sys/devices/system/cpu", 6},
}

// Files returns the table of served files, in the order of listings. The slice
// is the caller's.
func Files() []File { return slices.Clone(files) }
