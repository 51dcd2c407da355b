// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// ioctl asks as a reader does.
func (h handle) ioctl(cmd uint32, room int) (uint64, fuse.Status) {
	out := make([]byte, room)
	in := fuse.IoctlIn{InHeader: fuse.InHeader{NodeId: h.node}, Fh: h.fh, Cmd: cmd, OutSize: uint32(room)}
	st := h.r.fs.Ioctl(nil, &in, nil, &fuse.IoctlOut{}, out)
	if !st.Ok() || room < 8 {
		return 0, st
	}
	return binary.NativeEndian.Uint64(out), st
}

// What a reader's open file shows and what Explain tells of it are the same.
func TestExplain(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		var last uint64
		for _, f := range append(r.files(), File{Path: "sys/devices/system/node/node0/meminfo"}) {
			h := r.open("c/" + f.Path)
			if _, st := h.ioctl(snapshotRequest, 8); st != fuse.Status(unix.ENODATA) {
				t.Errorf("%s: the snapshot of an unread file: %v", f.Path, st)
			}
			shown := h.pass(maxRead, 0)
			id, st := h.ioctl(snapshotRequest, 8)
			if !st.Ok() || id <= last {
				t.Errorf("%s: snapshot %d, %v; the last one was %d", f.Path, id, st, last)
			}
			last = id
			e, err := r.bound.Explain("c", f.Path, id)
			if err != nil {
				t.Fatal(err)
			}
			if e.Snapshot != id || string(e.Text) != shown || e.File != f.Path || len(e.Inputs) == 0 && f.Path != "proc/uptime" || e.Hosts {
				t.Errorf("%s: %+v", f.Path, e)
			}
			for _, in := range e.Inputs {
				if !strings.HasPrefix(in.Path, r.host.Root) || in.Text != nil && string(in.Text) != r.host.Read(strings.TrimPrefix(in.Path, r.host.Root)) {
					t.Errorf("%s: made from %s: %q", f.Path, in.Path, in.Text)
				}
			}
			if anew, err := r.bound.Explain("c", f.Path, 0); err != nil || anew.Snapshot <= id {
				t.Errorf("%s: anew: %+v, %v", f.Path, anew, err)
			}
			if _, st := h.ioctl(snapshotRequest, 4); st != fuse.Status(unix.ENOTTY) {
				t.Errorf("%s: an ioctl with too little room: %v", f.Path, st)
			}
			if _, st := h.ioctl(unix.TCGETS, 60); st != fuse.Status(unix.ENOTTY) {
				t.Errorf("%s: is a terminal: %v", f.Path, st)
			}
			h.close()
			if _, err := r.bound.Explain("c", f.Path, id); !errors.Is(err, ErrNoSnapshot) {
				t.Errorf("%s: closed: %v", f.Path, err)
			}
		}
	})
}

func TestExplainNothing(t *testing.T) {
	r := newRig(t, "debian12-v2")
	h := r.open("c/proc/meminfo")
	h.must(10, 0)
	id, _ := h.ioctl(snapshotRequest, 8)
	for _, test := range []struct {
		container, path string
		id              uint64
		want            error
	}{
		{"d", "proc/meminfo", 0, ErrNotRegistered},
		{"c", "proc/secrets", 0, ErrNotServed},
		{"c", "proc", 0, ErrNotServed},
		{"c", "proc/meminfo/x", 0, ErrNotServed},
		{"c", "", 0, ErrNotServed},
		{"c", "../c/proc/meminfo", 0, ErrNotServed},
		{"c", "proc/meminfo", id + 1, ErrNoSnapshot},
		{"c", "proc/cpuinfo", id, ErrNoSnapshot},
	} {
		if e, err := r.bound.Explain(test.container, test.path, test.id); !errors.Is(err, test.want) {
			t.Errorf("Explain(%q, %q, %d): %+v, %v; want %v", test.container, test.path, test.id, e, err, test.want)
		}
	}
}

// By policy the host's own text is shown in place of an error, which is counted.
func TestOnErrorHost(t *testing.T) {
	for _, p := range []view.OnError{view.OnErrorEIO, view.OnErrorHost} {
		r := newRig(t, "debian12-v2")
		r.bound.SetPolicy("c", view.Policy{OnError: p})
		r.host.Write(r.limitFile(), "many\n")
		text, err := r.open("c/proc/meminfo").pread(maxRead, 0)
		if p == view.OnErrorEIO {
			if err == nil {
				t.Errorf("no error, but %q", text)
			}
			continue
		}
		if err != nil || text != r.host.Read("proc/meminfo") {
			t.Errorf("shown is %q, %v", text, err)
		}
		if e, err := r.bound.Explain("c", "proc/meminfo", 0); err != nil || !e.Hosts {
			t.Errorf("explained as %+v, %v", e, err)
		}
		if got := r.bound.Errors("c"); got[failure.CauseCgroup] != 2 {
			t.Errorf("counted %v", got)
		}
		if lines := strings.Join(r.log.lines(), "\n"); !strings.Contains(lines, "the host's own text") {
			t.Errorf("logged %s", lines)
		}
	}
}

// The last good text comes first, whatever the policy.
func TestOnErrorHostLater(t *testing.T) {
	r := newRig(t, "debian12-hybrid")
	r.bound.SetPolicy("c", view.Policy{OnError: view.OnErrorHost})
	good := r.read("c/proc/meminfo")
	r.host.Remove(r.limitFile()[:strings.LastIndex(r.limitFile(), "/")])
	if got := r.read("c/proc/meminfo"); got != good {
		t.Errorf("not the last good text:\n%s", got)
	}
	r.clock.add(texts.LastGoodMaxAge + 1)
	if got := r.read("c/proc/meminfo"); got != r.host.Read("proc/meminfo") {
		t.Errorf("not the host's text:\n%s", got)
	}
	if got := r.bound.Errors("c"); got[failure.CauseCgroupGone] < 2 {
		t.Errorf("counted %v", got)
	}
	if mode := r.layout.Mode(); mode != cgroupread.Hybrid {
		t.Errorf("the host is %v", mode)
	}
}
