// SPDX-License-Identifier: Apache-2.0

// Package hostread reads the host's files that views are made from, once for all
// containers.
//
//	files, err := hostread.Open("/proc", "/sys", time.Now)
//	stat, err := files.Reader(nil).Stat()
//
// The files are opened when a [Files] is made, before anything can be mounted
// over them, and stay open: each read at offset 0 makes the kernel write a new
// text. What was made of it is shared between readers for a while: 10 ms, which
// is how soon a change must be seen; nearly 1 s for cpuinfo, as long as the same
// CPUs are online.
//
// Nothing waits: readers that find a value too old each make a new one. Values
// and texts are those of whoever reads with a [Record] until that is reset; their
// memory is then used again, so that a warm reader allocates nothing.
package hostread

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// ErrUnreadable says that a file of the host can't be read or understood; the
// error that wraps it names the file and the cause.
var ErrUnreadable = errors.New("the host's file can't be read")

// How long what was read may be shared.
const (
	maxAge = 10 * time.Millisecond
	// A host with 512 CPUs takes milliseconds to write its cpuinfo, and nothing
	// in it but the set of CPUs, which is checked each time, and the column
	// "cpu MHz" ever changes. That may be 1 s old when it is read; the kernel may
	// have kept it for up to 20 ms of these (package fusefs, static files).
	cpuinfoMaxAge = time.Second - 20*time.Millisecond
)

// Files are the host's open files. Its methods may be called at the same time.
type Files struct {
	meminfo        *document[*procfile.Meminfo]
	ratio, kbytes  *document[uint64]
	hugePage       *document[uint64]
	stat           *document[counters]
	diskstats      *document[*procfile.Diskstats]
	swaps          *document[*procfile.Swaps]
	vmstat         *document[*procfile.Vmstat]
	slabinfo       *document[*procfile.Slabinfo]
	pressure       map[string]*document[*procfile.Pressure] // by resource
	lists          map[string]*document[cpulist.Set]        // by path below /sys/devices/system
	nodes          nodes
	uptime         file
	loadavg        file
	cpuinfoFile    file
	cpus, cpus32   shared[cpus]
	cpuinfos       atomic.Uint64    // counts them
	texts          shared[struct{}] // of Append
	required, more []*file          // what a host always has, and what some haven't
	byPath         map[string]*file
}

// cpus is the cpuinfo while these CPUs were online.
type cpus struct {
	info    *procfile.CPUInfo
	online  cpulist.Set
	version uint64
}

// Paths of lists that [Reader.List] knows.
const (
	Online        = "sys/devices/system/cpu/online"
	Offline       = "sys/devices/system/cpu/offline"
	Possible      = "sys/devices/system/cpu/possible"
	NodeOnline    = "sys/devices/system/node/online"
	NodePossible  = "sys/devices/system/node/possible"
	NodeHasCPU    = "sys/devices/system/node/has_cpu"
	NodeHasMemory = "sys/devices/system/node/has_memory"
	NodeHasNormal = "sys/devices/system/node/has_normal_memory"
)

// Open opens the host's files below procRoot ("/proc") and sysRoot ("/sys").
// The error names those that can't be opened, but for files that a kernel need
// not have; the Files returned with it can be used all the same, and try them
// again when they are needed.
func Open(procRoot, sysRoot string, clock func() time.Time) (*Files, error) {
	at := func(path string) string {
		if below, ok := strings.CutPrefix(path, "proc/"); ok {
			return filepath.Join(procRoot, below)
		}
		return filepath.Join(sysRoot, strings.TrimPrefix(path, "sys/"))
	}
	f := &Files{
		meminfo:     newDocument(at("proc/meminfo"), clock, parseInto[procfile.Meminfo]),
		ratio:       newDocument(at("proc/sys/vm/overcommit_ratio"), clock, parseNumber),
		kbytes:      newDocument(at("proc/sys/vm/overcommit_kbytes"), clock, parseNumber),
		hugePage:    newDocument(at("sys/kernel/mm/transparent_hugepage/hpage_pmd_size"), clock, parseNumber),
		stat:        newDocument(at("proc/stat"), clock, parseStat),
		diskstats:   newDocument(at("proc/diskstats"), clock, parseInto[procfile.Diskstats]),
		swaps:       newDocument(at("proc/swaps"), clock, parseInto[procfile.Swaps]),
		vmstat:      newDocument(at("proc/vmstat"), clock, parseInto[procfile.Vmstat]),
		slabinfo:    newDocument(at("proc/slabinfo"), clock, parseInto[procfile.Slabinfo]),
		pressure:    map[string]*document[*procfile.Pressure]{},
		lists:       map[string]*document[cpulist.Set]{},
		uptime:      file{path: at("proc/uptime")},
		loadavg:     file{path: at("proc/loadavg")},
		texts:       shared[struct{}]{now: clock},
		cpuinfoFile: file{path: at("proc/cpuinfo")},
		cpus:        shared[cpus]{maxAge: cpuinfoMaxAge, now: clock},
		cpus32:      shared[cpus]{maxAge: cpuinfoMaxAge, now: clock},
	}
	f.nodes.open(at("sys/devices/system/node"), clock)
	f.required = []*file{&f.meminfo.file, &f.ratio.file, &f.kbytes.file, &f.cpuinfoFile}
	f.more = []*file{
		&f.hugePage.file, &f.stat.file, &f.diskstats.file, &f.swaps.file, &f.vmstat.file, &f.slabinfo.file, &f.uptime, &f.loadavg,
	}
	f.byPath = map[string]*file{
		"proc/meminfo": &f.meminfo.file, "proc/stat": &f.stat.file, "proc/diskstats": &f.diskstats.file,
		"proc/swaps": &f.swaps.file, "proc/vmstat": &f.vmstat.file, "proc/slabinfo": &f.slabinfo.file,
		"proc/uptime": &f.uptime, "proc/loadavg": &f.loadavg, "proc/cpuinfo": &f.cpuinfoFile,
	}
	for _, resource := range []string{"cpu", "memory", "io", "irq"} {
		path := "proc/pressure/" + resource
		d := newDocument(at(path), clock, parseInto[procfile.Pressure])
		f.pressure[resource], f.byPath[path] = d, &d.file
		f.more = append(f.more, &d.file)
	}
	for _, path := range []string{
		Online, Offline, Possible, NodeOnline, NodePossible, NodeHasCPU, NodeHasMemory, NodeHasNormal,
	} {
		d := newDocument(at(path), clock, parseList)
		f.lists[path], f.byPath[path] = d, &d.file
		if path == Online {
			f.required = append(f.required, &d.file)
		} else {
			f.more = append(f.more, &d.file)
		}
	}
	var failed error
	for _, one := range f.required {
		_, err := one.open()
		failed = errors.Join(failed, err)
	}
	for _, one := range f.more {
		if _, err := one.open(); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return f, failed
}

// Close closes the files.
func (f *Files) Close() error {
	failed := f.nodes.close()
	for _, list := range [][]*file{f.required, f.more} {
		for _, one := range list {
			failed = errors.Join(failed, one.close())
		}
	}
	return failed
}

// Length returns how many bytes the text of another file of the host has now.
func Length(path string) (int, error) {
	f := &file{path: path}
	text, err := f.read(nil)
	return len(text), errors.Join(err, f.close())
}

// BootClock is the time since the machine was started, its sleep included
// (CLOCK_BOOTTIME): what /proc/uptime says, and what the start times of processes
// are counted in.
func BootClock() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // no kernel since 2.6.39 refuses
	}
	return time.Duration(t.Nano())
}

// errorf makes an error that is ErrUnreadable.
func errorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnreadable}, args...)...)
}
