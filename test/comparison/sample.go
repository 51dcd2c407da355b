// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where things are in the container.
const (
	theirRoot  = "/lxcfs"
	hostProc   = "/host/proc"
	hostCgroup = "/host/cgroup"
)

// Sample is what the reader saw: the truth twice, and between it both views.
type Sample struct {
	Before, After Moment
	// By path below the root ("proc/meminfo"); the host has those of /proc.
	Ours, Theirs, Host map[string]Reading
}

// Moment is what the kernel said at one time.
type Moment struct {
	At    time.Duration     // boot clock
	Files map[string]string // "host/meminfo", "memory/memory.stat"; absent files are absent
	Tasks []Task            // of the container's cgroup
}

// Task is one thread of the container.
type Task struct {
	State  string // of /proc/TID/stat: "R", "S", "D" …
	Reader bool   // a thread of the reader itself
}

// Reading is one file of a view.
type Reading struct {
	At    time.Duration // boot clock, just before it was read
	Text  string
	Mode  fs.FileMode
	Error string // "" when it could be read
}

// served are the files that are compared.
func served() []string {
	return []string{
		"proc/cpuinfo", "proc/stat", "proc/uptime", "proc/loadavg", "proc/meminfo", "proc/swaps", "proc/diskstats",
		"proc/slabinfo", "proc/vmstat", "proc/pressure/cpu", "proc/pressure/memory", "proc/pressure/io",
		"sys/devices/system/cpu/online", "sys/devices/system/cpu/offline",
	}
}

// truths are the kernel's files that tables are made from, by controller; "host"
// is the host's /proc, "unified" the cgroup2 hierarchy of a hybrid host.
func truths() map[string][]string {
	return map[string][]string{
		"host": {
			"cpuinfo", "meminfo", "stat", "uptime", "loadavg", "swaps", "diskstats", "vmstat", "pressure/cpu", "pressure/memory", "pressure/io",
			"sys/vm/overcommit_ratio", "sys/vm/overcommit_kbytes",
		},
		"memory": {
			"memory.stat", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
			"memory.kmem.usage_in_bytes", "memory.kmem.slabinfo",
		},
		"cpu":     {"cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us"},
		"cpuacct": {"cpuacct.usage"},
		"cpuset":  {"cpuset.effective_cpus"},
		"blkio":   {"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"},
		"unified": {"cpu.pressure", "memory.pressure", "io.pressure"},
	}
}

// Read is the reader's work, in the container.
func Read() (Sample, error) {
	paths, err := cgroups()
	if err != nil {
		return Sample{}, err
	}
	s := Sample{Ours: map[string]Reading{}, Theirs: map[string]Reading{}, Host: map[string]Reading{}}
	if s.Before, err = look(paths); err != nil {
		return Sample{}, err
	}
	for _, f := range served() {
		s.Ours[f] = read(filepath.Join("/", f))
		s.Theirs[f] = read(filepath.Join(theirRoot, f))
	}
	if s.After, err = look(paths); err != nil {
		return Sample{}, err
	}
	for _, f := range served() {
		if below, ok := strings.CutPrefix(f, "proc/"); ok {
			s.Host[f] = read(filepath.Join(hostProc, below))
		}
	}
	return s, nil
}

func read(path string) Reading {
	r := Reading{At: boot()}
	text, err := os.ReadFile(path)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(path); err == nil {
			r.Mode = info.Mode()
		}
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.Text = string(text)
	return r
}

// cgroups are the reader's own, by controller, from the root of each hierarchy:
// docker on cgroup v1 has no cgroup namespace.
func cgroups() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			return nil, errors.New("/proc/self/cgroup: no cgroup in " + strconv.Quote(line))
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "" {
				controller = "unified"
			}
			paths[controller] = parts[2]
		}
	}
	return paths, nil
}

func look(paths map[string]string) (Moment, error) {
	m := Moment{At: boot(), Files: map[string]string{}}
	for controller, names := range truths() {
		dir := hostProc
		if controller != "host" {
			dir = filepath.Join(hostCgroup, controller, paths[controller])
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			// v1's memory.kmem.slabinfo is there and gives EOPNOTSUPP.
			if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
				return Moment{}, err
			}
			m.Files[controller+"/"+name] = string(text)
		}
	}
	for _, f := range []string{"proc/1/stat", "proc/sys/kernel/ns_last_pid"} {
		text, err := os.ReadFile(filepath.Join("/", f))
		if err != nil {
			return Moment{}, err
		}
		m.Files[f] = string(text)
	}
	text, err := os.ReadFile(filepath.Join(hostCgroup, "cpu", paths["cpu"], "tasks"))
	if err != nil {
		return Moment{}, err
	}
	for _, tid := range strings.Fields(string(text)) { // as the reader's PID namespace numbers them
		stat, err := os.ReadFile(filepath.Join("/proc", tid, "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		_, self := os.Stat(filepath.Join("/proc/self/task", tid))
		m.Tasks = append(m.Tasks, Task{State: afterName(string(stat))[0], Reader: self == nil})
	}
	return m, nil
}

// afterName are the fields of /proc/PID/stat from the third on: the second, the
// name, may have anything in it.
func afterName(stat string) []string {
	return append(strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]), "")
}

func boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("comparison: boot clock: " + err.Error()) // the kernel has had it since 2.6.39
	}
	return time.Duration(ts.Nano())
}
