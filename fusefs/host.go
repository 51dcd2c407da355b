// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
)

// A Host reads the files of the host that views are made from, and holds what
// all trees of a process share. It is safe for concurrent use.
type Host struct {
	layout *cgroupread.Layout
	now    func() time.Time
	log    *slog.Logger
	start  time.Time // the times of all inodes
	roots  map[string]string
	pool   *snapshot.Pool

	// What views are made in, once warm without allocation.
	cpuinfos, meminfos sync.Pool // *procfile.CPUInfo, *procfile.Meminfo

	// Handles are numbered from the time on at which the process started, so
	// that one that a former process gave is below all of this one's.
	horizon uint64
	handles atomic.Uint64 // the last one given

	files *hostread.Files
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
		pool:  &snapshot.Pool{}, horizon: uint64(max(0, clock().UnixNano())),
	}
	h.handles.Store(h.horizon)
	files, err := hostread.Open(procRoot, sysRoot, clock)
	if err != nil {
		log.Warn("files of the host can't be opened; views that need them can't be told", "error", err)
	}
	h.files = files
	return h
}

// Close closes the host's files. Trees of this Host must not be served any
// more.
func (h *Host) Close() error { return h.files.Close() }

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
	length, err := hostread.Length(path)
	long := err != nil || uint64(length) > nominalSize()
	return like{mode: st.Mode & 0o777, uid: st.Uid, gid: st.Gid, long: long}, true
}
