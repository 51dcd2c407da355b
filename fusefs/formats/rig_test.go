// SPDX-License-Identifier: Apache-2.0

package formats_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A rig is a captured host with one container, whose files are rendered at three
// moments, of which the last one counts: CPU times need intervals.
type rig struct {
	t       *testing.T
	host    *fixture.Host
	source  *source.Host
	cgroup  *cgroupread.Cgroup
	files   []*source.File
	policy  view.Policy
	init    locate.Init
	between map[string]string // files, by path, that change before the last moment
	// The boot clock, and how many times was rendered; the load engine reads them, too.
	now, id atomic.Int64
}

// When the container was started, and the moments.
const (
	started = 900 * time.Second
	first   = 1000 * time.Second
	second  = first + 5*time.Second
	third   = second + 10*time.Second
)

// newRig opens a host that setup has changed.
func newRig(t *testing.T, h *fixture.Host, policy view.Policy) *rig {
	t.Helper()
	layout, err := cgroupread.Detect(h.Proc)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := layout.OfProcess(h.Proc, fixture.ContainerPID)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, host: h, policy: policy, init: locate.Init{PID: fixture.ContainerPID, Start: started}, between: map[string]string{}}
	if r.cgroup, err = layout.Open(paths); err != nil {
		t.Fatal(err)
	}
	epoch := time.Unix(1_800_000_000, 0)
	r.source = source.NewHost(source.Config{
		Proc: h.Proc, Sys: h.Sys, Layout: layout, Log: slog.New(slog.DiscardHandler),
		// What the host said for the change before must not be taken for new.
		Clock: func() time.Time { return epoch.Add(time.Duration(r.id.Load())*time.Hour + r.boot()) },
		Boot:  r.boot,
	})
	t.Cleanup(func() {
		if err := errors.Join(r.source.Close(), r.cgroup.Close()); err != nil {
			t.Error(err)
		}
	})
	for _, f := range source.Files() {
		r.files = append(r.files, &f)
	}
	for _, d := range r.source.Directories() {
		r.addEntries(d)
	}
	return r
}

func (r *rig) boot() time.Duration { return time.Duration(r.now.Load()) }

// addEntries adds the files of the directories below d.
func (r *rig) addEntries(d *source.Directory) {
	entries, err := d.List(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, above := range entries {
		below, err := d.List(&above)
		if err != nil {
			r.files = append(r.files, d.File(&above)) // a file itself
			continue
		}
		for _, e := range below {
			if e.Target == "" {
				r.files = append(r.files, d.File(&e))
			}
		}
	}
}

// A shown is what a container is shown in one file.
type shown struct {
	text   string
	record *source.Record
}

// render returns what the container is shown at the third moment in those files
// that which says. change is done before the second moment, in files that grow
// before the third one then, and undone after that.
func (r *rig) render(which func(path string) bool, change change) map[string]shown {
	r.t.Helper()
	r.id.Add(1)
	init := r.init
	if change.container != nil {
		change.container(&init) // from its start on
	}
	r.now.Store(int64(first))
	c := r.source.Container(fmt.Sprint("c", r.id.Load()), r.cgroup, init)
	remembered := func(path string) bool { return path == "proc/stat" } // by uptime, too
	r.all(c, remembered)
	early, late := maps.Clone(change.files), maps.Clone(r.between)
	for name, text := range change.files {
		if _, grows := late[name]; grows { // the text is that after it grew
			delete(early, name)
			late[name] = text
		}
	}
	defer r.write(early)()
	r.now.Store(int64(second))
	r.all(c, remembered)
	defer r.write(late)()
	r.now.Store(int64(third + change.later))
	texts := r.all(c, which)
	if err := c.Close(); err != nil {
		r.t.Error(err)
	}
	return texts
}

func (r *rig) all(c *source.Container, which func(path string) bool) map[string]shown {
	texts := map[string]shown{}
	for _, f := range r.files {
		if !which(f.Path) {
			continue
		}
		record := &source.Record{}
		text, err := c.Append(nil, f, source.How{Policy: r.policy, Record: record})
		if err == nil {
			texts[f.Path] = shown{string(text), record}
		} else if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(f.Path, "/node/node") {
			texts[f.Path] = shown{"error: " + err.Error(), record}
		}
	}
	return texts
}

// A change is one perturbation.
type change struct {
	files     map[string]string // by path from the host's root
	container func(*locate.Init)
	later     time.Duration
}

// write writes files and returns how to undo that.
func (r *rig) write(files map[string]string) (undo func()) {
	before := map[string]string{}
	for name, text := range files {
		if old, err := os.ReadFile(r.host.Path(name)); err == nil {
			before[name] = string(old)
		}
		r.host.Write(name, text)
	}
	return func() {
		for name := range files {
			if old, ok := before[name]; ok {
				r.host.Write(name, old)
			} else {
				r.host.Remove(name)
			}
		}
	}
}

// A read is a file that was read: what it is to the container.
type read struct {
	name string // below the host's root
	file string // as inputs name it
	from formats.From
	text string
}

// reads are the files that a text was made from and that were there.
func (r *rig) reads(s shown) (all []read) {
	s.record.Each(func(at string, text []byte) {
		name, err := filepath.Rel(r.host.Root, at)
		if err != nil {
			r.t.Fatal(err)
		}
		if text != nil {
			file, from := place(name)
			all = append(all, read{name, file, from, string(text)})
		}
	})
	return all
}

// place says what a file below the host's root is.
func place(name string) (file string, from formats.From) {
	if !strings.HasPrefix(name, "sys/fs/cgroup/") {
		return name, formats.OfHost
	}
	_, below, isLevel := strings.Cut(path.Dir(name), fixture.Base)
	switch {
	case !isLevel:
		return path.Base(name), formats.OfNearest
	case below == "":
		return path.Base(name), formats.OfChain
	}
	return path.Base(name), formats.OfCgroup
}

// listed says whether a field of a file that was read is an input.
func listed(in formats.Input, from formats.From, file, field string) bool {
	switch in.From {
	case formats.OfHost, formats.OfCgroup:
		return from == in.From && in.Is(file, field)
	case formats.OfChain:
		return (from == formats.OfCgroup || from == formats.OfChain) && in.Is(file, field)
	case formats.OfNearest:
		return from != formats.OfHost && in.Is(file, field)
	default:
		return from == in.From
	}
}
