// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime/history"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
)

// A Host reads the files of the host that views are made from, and holds what
// all trees of a process share. It is safe for concurrent use.
type Host struct {
	layout *cgroupread.Layout
	log    *slog.Logger
	start  time.Time // the times of all inodes
	roots  map[string]string
	pool   *snapshot.Pool

	// Handles are numbered from the time on at which the process started, so
	// that one that a former process gave is below all of this one's.
	horizon uint64
	handles atomic.Uint64 // the last one given

	sources *source.Host
	texts   *texts.Host
	past    *history.Store // nil: histories are kept in memory
}

// A HostOption changes what NewHost does.
type HostOption func(*hostOptions)

type hostOptions struct {
	boot      func() time.Duration
	histories string
}

// BootClock replaces the clock that counts from the machine's start
// (CLOCK_BOOTTIME).
func BootClock(boot func() time.Duration) HostOption {
	return func(o *hostOptions) { o.boot = boot }
}

// Histories names a directory, on a tmpfs, that keeps what must outlive the server
// for CPU times never to fall; see package history. Only one process at a time may
// use it.
func Histories(dir string) HostOption {
	return func(o *hostOptions) { o.histories = dir }
}

// NewHost returns a Host that reads below procRoot ("/proc") and sysRoot
// ("/sys"); layout says where cgroups are. It opens the host's files at once,
// before anything can be mounted over them, and keeps them open: one that
// can't be opened is logged now and tried again when it is needed. clock is
// time.Now; log is told what operators should know, once each.
func NewHost(
	procRoot, sysRoot string, layout *cgroupread.Layout, clock func() time.Time, log *slog.Logger, options ...HostOption,
) *Host {
	o := hostOptions{boot: hostread.BootClock}
	for _, option := range options {
		option(&o)
	}
	h := &Host{
		layout: layout, log: log, start: clock(),
		roots:   map[string]string{"proc": procRoot, "sys": sysRoot},
		pool:    &snapshot.Pool{Records: func() snapshot.Record { return &source.Record{} }},
		horizon: uint64(max(0, clock().UnixNano())),
	}
	h.handles.Store(h.horizon)
	if o.histories != "" {
		h.openHistories(procRoot, o.histories)
	}
	h.sources = source.NewHost(source.Config{
		Proc: procRoot, Sys: sysRoot, Layout: layout, Clock: clock, Boot: o.boot, Histories: h.past, Log: log,
	})
	h.texts = &texts.Host{Sources: h.sources, Pool: h.pool, Now: clock, Log: log}
	return h
}

// openHistories opens the directory of histories, or says that there is none.
func (h *Host) openHistories(procRoot, dir string) {
	boot, err := os.ReadFile(filepath.Join(procRoot, "sys/kernel/random/boot_id"))
	if err == nil {
		h.past, err = history.Open(dir, string(bytes.TrimSpace(boot)), h.log)
	}
	if err == nil {
		var alive func(history.Key) bool
		if alive, err = source.Alive(procRoot, h.layout); err == nil {
			_, err = h.past.Sweep(alive)
		}
	}
	if err != nil {
		h.log.Warn("CPU times of containers may fall when the server is restarted", "error", err)
	}
}

// Close closes the host's files. Trees of this Host must not be served any
// more.
func (h *Host) Close() error {
	err := h.sources.Close()
	if h.past != nil {
		err = errors.Join(err, h.past.Close())
	}
	return err
}

// Files returns the rows of the table that this host has.
func (h *Host) Files() []File {
	var present []File
	for _, f := range Files() {
		if _, err := os.Stat(h.path(&f)); !errors.Is(err, fs.ErrNotExist) {
			present = append(present, f)
		}
	}
	return present
}

// path is where the host has the file that f shows a view of.
func (h *Host) path(f *File) string {
	root, rest, _ := strings.Cut(f.Path, "/")
	return filepath.Join(h.roots[root], rest)
}

// present says whether the host has the file that f shows a view of, and what
// it is like.
func (h *Host) present(f *File) (nodes.Like, bool) {
	path := h.path(f)
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return nodes.Like{}, false
	}
	if err != nil {
		return nodes.Like{Mode: f.Mode}, true
	}
	// A text that can't be read now is taken for a long one, whose size is
	// asked for each time.
	length, err := hostread.Length(path)
	long := err != nil || uint64(length) > nominalSize()
	return nodes.Like{Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid, Long: long}, true
}
