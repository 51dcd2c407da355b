// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// How long what was read from the host may be shared between containers.
const (
	hostMaxAge = 10 * time.Millisecond
	// A host with 512 CPUs takes milliseconds to write its cpuinfo, and nothing
	// in it but the set of CPUs, which is checked each time, and the column
	// "cpu MHz" ever changes.
	cpuinfoMaxAge = time.Second
)

// A Host reads the files of the host that views are made from, and holds what
// all trees of a process share. It is safe for concurrent use.
type Host struct {
	layout *cgroupread.Layout
	now    func() time.Time
	log    *slog.Logger
	start  time.Time // the times of all inodes
	roots  map[string]string
	pool   *snapshotPool

	// What views are made in, once warm without allocation.
	cpuinfos, meminfos sync.Pool // *procfile.CPUInfo, *procfile.Meminfo

	// Handles are numbered from the time on at which the process started, so
	// that one that a former process gave is below all of this one's.
	horizon uint64
	handles atomic.Uint64 // the last one given

	meminfoFile, ratioFile, kbytesFile, cpuinfoFile, onlineFile hostFile

	memory  cached[hostMemory]
	online  cached[cpulist.Set]
	cpuinfo cached[hostCPUs]
}

// hostMemory is one moment of the host's memory. It isn't changed once made.
type hostMemory struct {
	meminfo    *procfile.Meminfo
	overcommit view.Overcommit
}

// hostCPUs is the host's cpuinfo while these CPUs were online. It isn't
// changed once made.
type hostCPUs struct {
	cpuinfo *procfile.CPUInfo
	online  cpulist.Set
}

// NewHost returns a Host that reads below procRoot ("/proc") and sysRoot
// ("/sys"); layout says where cgroups are. It opens the host's files at once,
// before anything can be mounted over them, and keeps them open: one that
// can't be opened is logged now and tried again when it is needed. clock is
// time.Now; log is told what operators should know, once each.
func NewHost(procRoot, sysRoot string, layout *cgroupread.Layout, clock func() time.Time, log *slog.Logger) *Host {
	h := &Host{
		layout: layout, now: clock, log: log, start: clock(),
		roots: map[string]string{"proc": procRoot, "sys": sysRoot},
		pool:  &snapshotPool{}, horizon: uint64(max(0, clock().UnixNano())),
	}
	h.handles.Store(h.horizon)
	h.meminfoFile.path = filepath.Join(procRoot, "meminfo")
	h.ratioFile.path = filepath.Join(procRoot, "sys/vm/overcommit_ratio")
	h.kbytesFile.path = filepath.Join(procRoot, "sys/vm/overcommit_kbytes")
	h.cpuinfoFile.path = filepath.Join(procRoot, "cpuinfo")
	h.onlineFile.path = filepath.Join(sysRoot, "devices/system/cpu/online")
	h.memory = cached[hostMemory]{maxAge: hostMaxAge, now: clock}
	h.online = cached[cpulist.Set]{maxAge: hostMaxAge, now: clock}
	h.cpuinfo = cached[hostCPUs]{maxAge: cpuinfoMaxAge, now: clock}
	for _, f := range h.files() {
		if _, err := f.open(); err != nil {
			log.Warn("a file of the host can't be opened; views that need it can't be told", "error", err)
		}
	}
	return h
}

// Close closes the host's files. Trees of this Host must not be served any
// more.
func (h *Host) Close() error {
	var err error
	for _, f := range h.files() {
		err = errors.Join(err, f.close())
	}
	return err
}

func (h *Host) files() []*hostFile {
	return []*hostFile{&h.meminfoFile, &h.ratioFile, &h.kbytesFile, &h.cpuinfoFile, &h.onlineFile}
}

// present says whether the host has the file that f shows a view of, and what
// it is like.
func (h *Host) present(f *File) (like, bool) {
	root, rest, _ := strings.Cut(f.Path, "/")
	path := filepath.Join(h.roots[root], rest)
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return like{}, false
	}
	if err != nil {
		return like{mode: f.Mode}, true
	}
	// A text that can't be read now is taken for a long one, whose size is
	// asked for each time.
	text, err := (&hostFile{path: path}).readOnce()
	long := err != nil || uint64(len(text)) > nominalSize()
	return like{mode: st.Mode & 0o777, uid: st.Uid, gid: st.Gid, long: long}, true
}

// readMemory returns the host's memory, at most hostMaxAge old.
func (h *Host) readMemory() (hostMemory, error) {
	return h.memory.get(always, func() (hostMemory, error) {
		text, err := h.meminfoFile.read()
		if err != nil {
			return hostMemory{}, err
		}
		meminfo, err := procfile.ParseMeminfo(text)
		if err != nil {
			return hostMemory{}, fmt.Errorf("%w: %w", errHostFile, err)
		}
		ratio, err := h.ratioFile.number()
		if err != nil {
			return hostMemory{}, err
		}
		kbytes, err := h.kbytesFile.number()
		if err != nil {
			return hostMemory{}, err
		}
		return hostMemory{meminfo, view.Overcommit{Ratio: ratio, KBytes: kbytes}}, nil
	})
}

// readOnline returns the host's online CPUs, at most hostMaxAge old.
func (h *Host) readOnline() (cpulist.Set, error) {
	return h.online.get(always, func() (cpulist.Set, error) {
		text, err := h.onlineFile.read()
		if err != nil {
			return cpulist.Set{}, err
		}
		set, err := cpulist.Parse(string(text))
		if err != nil {
			return cpulist.Set{}, fmt.Errorf("%w: %s: %w", errHostFile, h.onlineFile.path, err)
		}
		return set, nil
	})
}

// readCPUInfo returns the host's cpuinfo as of when online were the online
// CPUs, at most cpuinfoMaxAge old.
func (h *Host) readCPUInfo(online cpulist.Set) (*procfile.CPUInfo, error) {
	same := func(c hostCPUs) bool { return c.online.Equal(online) }
	cpus, err := h.cpuinfo.get(same, func() (hostCPUs, error) {
		text, err := h.cpuinfoFile.read()
		if err != nil {
			return hostCPUs{}, err
		}
		cpuinfo, err := procfile.ParseCPUInfo(text)
		if err != nil {
			return hostCPUs{}, fmt.Errorf("%w: %w", errHostFile, err)
		}
		return hostCPUs{cpuinfo, online}, nil
	})
	return cpus.cpuinfo, err
}
