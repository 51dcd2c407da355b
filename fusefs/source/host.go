// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime/history"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/load"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Config says where a Host reads.
type Config struct {
	Proc, Sys string // "/proc" and "/sys"
	// Layout says where cgroups are.
	Layout *cgroupread.Layout
	// Clock is time.Now, Boot the boot clock (CLOCK_BOOTTIME, hostread.BootClock).
	Clock func() time.Time
	Boot  func() time.Duration
	// Histories keep CPU times over a restart; nil keeps them in memory.
	Histories *history.Store
	Log       *slog.Logger
}

// A Host is what the texts of all containers are made from. It is safe for
// concurrent use.
type Host struct {
	files *hostread.Files
	clock func() time.Time
	boot  func() time.Duration
	load  *load.Engine // nil where /proc can't be opened
	past  *history.Store
	log   *slog.Logger
	rooms sync.Pool // of *room

	locator     *locate.Locator
	directories []*Directory
}

// NewHost opens the host's files. One that can't be opened is logged now and
// tried again when it is needed.
func NewHost(c Config) *Host {
	files, err := hostread.Open(c.Proc, c.Sys, c.Clock)
	if err != nil {
		c.Log.Warn("files of the host can't be opened; views that need them can't be told", "error", err)
	}
	engine, err := load.New(load.Config{Proc: c.Proc, Freezer: freezer(c.Layout), Now: c.Clock})
	if err != nil {
		c.Log.Warn("the tasks of containers can't be counted; /proc/loadavg and /proc/stat can't be told", "error", err)
	}
	h := &Host{
		files: files, clock: c.Clock, boot: c.Boot, load: engine, past: c.Histories, log: c.Log,
		locator: locate.New(c.Proc, c.Layout),
	}
	h.openDirectories(c.Sys)
	return h
}

// freezer is the directory of v1's freezer hierarchy, "" where there is none.
func freezer(layout *cgroupread.Layout) string {
	h, err := layout.Hierarchy("freezer")
	if err != nil || h.Unified {
		return ""
	}
	return filepath.Clean(h.Mountpoint)
}

// Close closes the host's files.
func (h *Host) Close() error {
	err := h.files.Close()
	for _, d := range h.directories {
		err = errors.Join(err, d.sys.Close())
	}
	if h.load != nil {
		err = errors.Join(err, h.load.Close())
	}
	return err
}

// AppendHost appends the host's own text of a file to dst.
func (h *Host) AppendHost(dst []byte, f *File, how How) ([]byte, error) {
	if own, ok := f.source.(hostText); ok {
		return own.appendHost(dst, h)
	}
	return h.reader(how).Append(dst, f.Path, how.Linux32)
}

// A hostText is a source whose host's text hostread doesn't know by its path.
type hostText interface {
	appendHost(dst []byte, h *Host) ([]byte, error)
}

func (h *Host) reader(how How) hostread.Reader {
	if how.Record == nil {
		return h.files.Reader(nil)
	}
	return h.files.Reader(&how.Record.Host)
}

// A room is the memory that one text is made in, used again for the next.
type room struct {
	moment   moment
	usage    limits.CPUTime
	chain    limits.MemoryChain
	devices  []limits.DeviceIO
	counters []limits.Counter
	nodes    []limits.NodeMemory
	hosts    []view.HostNode
	columns  []cputime.Column
	text     []byte

	cpuinfo   procfile.CPUInfo
	meminfo   procfile.Meminfo
	stat      procfile.Stat
	diskstats procfile.Diskstats
	swaps     procfile.Swaps
	vmstat    procfile.Vmstat
	slabinfo  [2]procfile.Slabinfo
	pressure  [2]procfile.Pressure
	numastat  procfile.Numastat
	node      procfile.NodeMeminfo
	split     view.NodeSplit
}

func (h *Host) room() *room {
	if r, ok := h.rooms.Get().(*room); ok {
		return r
	}
	return &room{}
}
