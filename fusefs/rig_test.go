// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A rig is a bound tree over a captured host, asked as the kernel would ask,
// without a kernel.
type rig struct {
	t      *testing.T
	host   *fixture.Host
	layout *cgroupread.Layout
	clock  *clock
	log    *logBuffer
	shim   *Host
	bound  *Bound
	fs     *filesystem
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Boot is the boot clock: the machine was started an hour before the test.
func (c *clock) Boot() time.Duration {
	return c.Now().Sub(time.Date(2026, 1, 2, 2, 4, 5, 6, time.UTC))
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.buf.String(), "\n"), "\n")
}

// newRig unpacks a captured host and puts its container "c" into a bound tree.
func newRig(t *testing.T, name string) *rig {
	t.Helper()
	r := &rig{
		t: t, host: fixture.Load(t, name), log: &logBuffer{},
		clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
	}
	layout, err := cgroupread.Detect(r.host.Proc)
	if err != nil {
		t.Fatal(err)
	}
	r.layout = layout
	r.shim = NewHost(r.host.Proc, r.host.Sys, layout, r.clock.Now, slog.New(slog.NewTextHandler(r.log, nil)), BootClock(r.clock.Boot))
	t.Cleanup(func() {
		if err := r.shim.Close(); err != nil {
			t.Error(err)
		}
	})
	r.bound = NewBound(r.shim)
	r.fs = newFilesystem(r.bound)
	r.add("c")
	return r
}

// add registers the captured container under an ID.
func (r *rig) add(id string) {
	r.t.Helper()
	paths, err := r.layout.OfProcess(r.host.Proc, fixture.ContainerPID)
	if err != nil {
		r.t.Fatal(err)
	}
	cg, err := r.layout.Open(paths)
	if err != nil {
		r.t.Fatal(err)
	}
	dir, err := r.bound.Add(Container{ID: id, Cgroup: cg})
	if err != nil {
		r.t.Fatal(err)
	}
	if dir != id {
		r.t.Errorf("Add(%q) gives the directory %q", id, dir)
	}
	r.t.Cleanup(func() { r.bound.Remove(id) })
}

// lookup walks a path from the top of the tree.
func (r *rig) lookup(path string) (fuse.EntryOut, fuse.Status) {
	entry := fuse.EntryOut{NodeId: fuse.FUSE_ROOT_ID}
	for name := range strings.SplitSeq(path, "/") {
		at := fuse.InHeader{NodeId: entry.NodeId}
		entry = fuse.EntryOut{}
		if st := r.fs.Lookup(nil, &at, name, &entry); !st.Ok() {
			return entry, st
		}
	}
	return entry, fuse.OK
}

// A handle is an open file.
type handle struct {
	r        *rig
	node, fh uint64
}

// open opens a file of the tree.
func (r *rig) open(path string) handle {
	r.t.Helper()
	entry, st := r.lookup(path)
	if !st.Ok() {
		r.t.Fatalf("lookup %s: %v", path, st)
	}
	var out fuse.OpenOut
	if st := r.fs.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: entry.NodeId}}, &out); !st.Ok() {
		r.t.Fatalf("open %s: %v", path, st)
	}
	if out.OpenFlags != fuse.FOPEN_DIRECT_IO|fuse.FOPEN_NOFLUSH {
		r.t.Errorf("open %s: flags %#x", path, out.OpenFlags)
	}
	return handle{r, entry.NodeId, out.Fh}
}

// pread reads as pread(2) does.
func (h handle) pread(size int, offset int64) (string, error) {
	in := fuse.ReadIn{
		InHeader: fuse.InHeader{NodeId: h.node}, Fh: h.fh, Offset: uint64(offset), Size: uint32(size),
		ReadFlags: fuse.READ_LOCKOWNER, // as read(2) has, and filling the page cache has not
	}
	result, st := h.r.fs.Read(nil, &in, nil)
	if !st.Ok() {
		return "", errors.New(st.String())
	}
	defer result.Done()
	text, st := result.Bytes(nil)
	if !st.Ok() {
		return "", errors.New(st.String())
	}
	if len(text) > size || len(text) != result.Size() {
		h.r.t.Errorf("a read of %d bytes gives %d, says %d", size, len(text), result.Size())
	}
	return string(text), nil
}

// must is pread where an error is a failure.
func (h handle) must(size int, offset int64) string {
	h.r.t.Helper()
	text, err := h.pread(size, offset)
	if err != nil {
		h.r.t.Fatalf("pread %d bytes at %d: %v", size, offset, err)
	}
	return text
}

// pass reads from offset to the end in steps.
func (h handle) pass(size int, offset int64) string {
	h.r.t.Helper()
	var all strings.Builder
	for {
		text := h.must(size, offset)
		if text == "" {
			return all.String()
		}
		all.WriteString(text)
		offset += int64(len(text))
	}
}

func (h handle) close() {
	h.r.fs.Release(nil, &fuse.ReleaseIn{InHeader: fuse.InHeader{NodeId: h.node}, Fh: h.fh})
}

// read reads a file of the tree whole.
func (r *rig) read(path string) string {
	r.t.Helper()
	h := r.open(path)
	defer h.close()
	return h.pass(maxRead, 0)
}

// field returns the number in a line of meminfo text.
func field(t *testing.T, text, name string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Fields(rest)[0]
		}
	}
	t.Fatalf("no line %s in:\n%s", name, text)
	return ""
}

// limitFile is where the captured container's memory limit stands.
func (r *rig) limitFile() string {
	if r.layout.Mode() == cgroupread.V2 {
		return "sys/fs/cgroup" + fixture.Container + "/memory.max"
	}
	return "sys/fs/cgroup/memory" + fixture.Container + "/memory.limit_in_bytes"
}

// files are the served files that the captured host has.
func (r *rig) files() []File { return r.shim.Files() }
