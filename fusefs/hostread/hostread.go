// SPDX-License-Identifier: Apache-2.0

// Package hostread reads the host's files that views are made from, once for all
// containers.
//
// The files are opened when a [Files] is made, before anything can be mounted
// over them, and stay open: each read at offset 0 makes the kernel write a new
// text. What was made of it is shared between readers for a while: 10 ms, which
// is how soon a change must be seen; 1 s for cpuinfo, as long as the same CPUs
// are online.
//
// Nothing waits: readers that find a value too old each make a new one. Values
// aren't changed once made.
package hostread

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

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
	// "cpu MHz" ever changes.
	cpuinfoMaxAge = time.Second
)

// Files are the host's open files. Its methods may be called at the same time.
type Files struct {
	meminfoFile, ratioFile, kbytesFile, cpuinfoFile, onlineFile file

	memory             cached[Memory]
	online             cached[cpulist.Set]
	cpuinfo, cpuinfo32 cached[cpus]
}

// Memory is one moment of the host's memory, and the sysctls that say how much
// of it may be committed.
type Memory struct {
	Meminfo          *procfile.Meminfo
	OvercommitRatio  uint64 // vm.overcommit_ratio, in percent
	OvercommitKBytes uint64 // vm.overcommit_kbytes, in KiB
}

// cpus is the cpuinfo while these CPUs were online.
type cpus struct {
	cpuinfo *procfile.CPUInfo
	online  cpulist.Set
}

// Open opens the host's files below procRoot ("/proc") and sysRoot ("/sys").
// The error names those that can't be opened; the Files returned with it can
// be used all the same, and try them again when they are needed.
func Open(procRoot, sysRoot string, clock func() time.Time) (*Files, error) {
	f := &Files{
		memory:    cached[Memory]{maxAge: maxAge, now: clock},
		online:    cached[cpulist.Set]{maxAge: maxAge, now: clock},
		cpuinfo:   cached[cpus]{maxAge: cpuinfoMaxAge, now: clock},
		cpuinfo32: cached[cpus]{maxAge: cpuinfoMaxAge, now: clock},
	}
	f.meminfoFile.path = filepath.Join(procRoot, "meminfo")
	f.ratioFile.path = filepath.Join(procRoot, "sys/vm/overcommit_ratio")
	f.kbytesFile.path = filepath.Join(procRoot, "sys/vm/overcommit_kbytes")
	f.cpuinfoFile.path = filepath.Join(procRoot, "cpuinfo")
	f.onlineFile.path = filepath.Join(sysRoot, "devices/system/cpu/online")
	var failed error
	for _, one := range f.all() {
		_, err := one.open()
		failed = errors.Join(failed, err)
	}
	return f, failed
}

// Close closes the files.
func (f *Files) Close() error {
	var failed error
	for _, one := range f.all() {
		failed = errors.Join(failed, one.close())
	}
	return failed
}

func (f *Files) all() []*file {
	return []*file{&f.meminfoFile, &f.ratioFile, &f.kbytesFile, &f.cpuinfoFile, &f.onlineFile}
}

// Length returns how many bytes the text of another file of the host has now.
func Length(path string) (int, error) {
	f := &file{path: path}
	text, err := f.read()
	return len(text), errors.Join(err, f.close())
}

// Memory returns the host's memory, at most 10 ms old.
func (f *Files) Memory() (Memory, error) {
	return f.memory.get(always, func() (Memory, error) {
		text, err := f.meminfoFile.read()
		if err != nil {
			return Memory{}, err
		}
		meminfo, err := procfile.ParseMeminfo(text)
		if err != nil {
			return Memory{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		ratio, err := f.ratioFile.number()
		if err != nil {
			return Memory{}, err
		}
		kbytes, err := f.kbytesFile.number()
		if err != nil {
			return Memory{}, err
		}
		return Memory{meminfo, ratio, kbytes}, nil
	})
}

// Online returns the host's online CPUs, at most 10 ms old.
func (f *Files) Online() (cpulist.Set, error) {
	return f.online.get(always, func() (cpulist.Set, error) {
		text, err := f.onlineFile.read()
		if err != nil {
			return cpulist.Set{}, err
		}
		set, err := cpulist.Parse(string(text))
		if err != nil {
			return cpulist.Set{}, fmt.Errorf("%w: %s: %w", ErrUnreadable, f.onlineFile.path, err)
		}
		return set, nil
	})
}

// CPUInfo returns the host's cpuinfo as of when online were the online CPUs, at
// most 1 s old.
func (f *Files) CPUInfo(online cpulist.Set) (*procfile.CPUInfo, error) {
	return f.cpuinfoBy(&f.cpuinfo, online, f.cpuinfoFile.read)
}

// cpuinfoBy reads a form of cpuinfo that is kept in from.
func (f *Files) cpuinfoBy(from *cached[cpus], online cpulist.Set, read func() ([]byte, error)) (*procfile.CPUInfo, error) {
	same := func(c cpus) bool { return c.online.Equal(online) }
	c, err := from.get(same, func() (cpus, error) {
		text, err := read()
		if err != nil {
			return cpus{}, err
		}
		cpuinfo, err := procfile.ParseCPUInfo(text)
		if err != nil {
			return cpus{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		return cpus{cpuinfo, online}, nil
	})
	return c.cpuinfo, err
}
