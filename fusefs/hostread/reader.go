// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"fmt"
	"slices"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// Reader reads the host's files. It is a small value: make one for each text.
//
// What its methods return is at most 10 ms old and shared: it must not be changed,
// nor used after the record was reset. An error is ErrUnreadable.
type Reader struct {
	files  *Files
	record *Record
}

// Reader is a reader that notes in record what it read; record may be nil.
func (f *Files) Reader(record *Record) Reader { return Reader{f, record} }

// Memory is one moment of the host's memory, and the sysctls that say how much
// of it may be committed.
type Memory struct {
	Meminfo          *procfile.Meminfo
	OvercommitRatio  uint64 // vm.overcommit_ratio, in percent
	OvercommitKBytes uint64 // vm.overcommit_kbytes, in KiB
}

// Memory returns the host's memory.
func (r Reader) Memory() (m Memory, err error) {
	if m.Meminfo, err = r.files.meminfo.get(r.record); err != nil {
		return Memory{}, err
	}
	if m.OvercommitRatio, err = r.files.ratio.get(r.record); err != nil {
		return Memory{}, err
	}
	if m.OvercommitKBytes, err = r.files.kbytes.get(r.record); err != nil {
		return Memory{}, err
	}
	return m, nil
}

// HugePage returns the size of a transparent huge page in bytes, 0 where the host
// doesn't tell.
func (r Reader) HugePage() uint64 {
	size, err := r.files.hugePage.get(r.record)
	if err != nil {
		return 0
	}
	return size
}

// Stat returns /proc/stat without its lines of CPUs, of which a host has hundreds
// and a view shows none.
func (r Reader) Stat() (*procfile.Stat, error) {
	counters, err := r.files.stat.get(r.record)
	return counters.stat, err
}

// Diskstats returns /proc/diskstats.
func (r Reader) Diskstats() (*procfile.Diskstats, error) { return r.files.diskstats.get(r.record) }

// Swaps returns /proc/swaps.
func (r Reader) Swaps() (*procfile.Swaps, error) { return r.files.swaps.get(r.record) }

// Vmstat returns /proc/vmstat.
func (r Reader) Vmstat() (*procfile.Vmstat, error) { return r.files.vmstat.get(r.record) }

// Slabinfo returns /proc/slabinfo.
func (r Reader) Slabinfo() (*procfile.Slabinfo, error) { return r.files.slabinfo.get(r.record) }

// Pressure returns /proc/pressure/RESOURCE: cpu, memory, io or irq.
func (r Reader) Pressure(resource string) (*procfile.Pressure, error) {
	d, ok := r.files.pressure[resource]
	if !ok {
		return nil, errorf("no pressure of %q is known", resource)
	}
	return d.get(r.record)
}

// List returns a list of CPUs or nodes: one of the paths that are constants here.
func (r Reader) List(path string) (cpulist.Set, error) {
	d, ok := r.files.lists[path]
	if !ok {
		return cpulist.Set{}, errorf("%s is no list that is known", path)
	}
	return d.get(r.record)
}

// Online returns the host's online CPUs.
func (r Reader) Online() (cpulist.Set, error) { return r.List(Online) }

// CPUInfo returns the host's cpuinfo as of when online were the online CPUs, less
// than 1 s old. linux32 asks for what readers with the personality PER_LINUX32
// see. What is returned with the same version, which is never 0, has the same
// text; the same text may come with another version.
func (r Reader) CPUInfo(online cpulist.Set, linux32 bool) (info *procfile.CPUInfo, version uint64, err error) {
	f, kept := r.files, &r.files.cpus
	read := f.cpuinfoFile.read
	if linux32 {
		kept, read = &f.cpus32, f.cpuinfoFile.readLinux32
	}
	same := func(c cpus) bool { return c.online.Equal(online) }
	c, err := kept.get(r.record, f.cpuinfoFile.path, same, read, func(old cpus, text []byte) (cpus, error) {
		info, err := parseInto(old.info, text)
		if err != nil {
			return cpus{info: info}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		return cpus{info, online, f.cpuinfos.Add(1)}, nil
	})
	return c.info, c.version, err
}

// Append appends the host's own text of a file to dst: what a reader on the host
// reads at this moment. path is as "proc/stat", of a file that this package reads.
func (r Reader) Append(dst []byte, path string, linux32 bool) ([]byte, error) {
	f, ok := r.files.byPath[path]
	if !ok {
		return dst, errorf("%s is no file that is known", path)
	}
	read := f.read
	if linux32 {
		read = f.readLinux32
	}
	// A text is of this moment, so none is shared: only their memory is.
	_, err := r.files.texts.get(r.record, f.path, never, read, func(_ struct{}, text []byte) (struct{}, error) {
		if len(text) == 0 && path != "proc/diskstats" { // of a host without disks
			return struct{}{}, errorf("%s is empty", f.path)
		}
		dst = append(dst, text...)
		return struct{}{}, nil
	})
	return dst, err
}

// never is the fits of what isn't shared.
func never(struct{}) bool { return false }

// Known are the paths that Append knows, sorted.
func (f *Files) Known() []string {
	var paths []string
	for path := range f.byPath {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
