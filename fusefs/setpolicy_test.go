// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// TestSetPolicy: another policy shows in the next text of both trees, under the
// inode that was looked up before.
func TestSetPolicy(t *testing.T) {
	eachHost(t, func(t *testing.T, r *rig) {
		everything := strings.TrimSpace(r.host.Read("sys/devices/system/cpu/online"))
		paths, err := r.layout.OfProcess(r.host.Proc, fixture.ContainerPID)
		if err != nil {
			t.Fatal(err)
		}
		s := NewShared(r.shim, nil)
		shared := func() string {
			t.Helper()
			snap, _, err := s.render(texts.Text{File: fileAt(t, "sys/devices/system/cpu/online")}, locate.Place{Cgroup: paths})
			if err != nil {
				t.Fatal(err)
			}
			defer r.shim.pool.Release(snap)
			return string(snap.Text)
		}
		h := r.open("c/sys/devices/system/cpu/online")
		own := h.pass(maxRead, 0)
		if got := shared(); got != own {
			t.Errorf("the shared tree shows %q, the bound one %q", got, own)
		}
		for _, p := range []view.Policy{{CPUView: view.CPUViewHost}, {}} {
			r.bound.SetPolicy("c", p)
			r.bound.SetPolicy("nobody", p)
			s.SetPolicy(p)
			want := own
			if p.CPUView == view.CPUViewHost {
				want = everything + "\n"
			}
			if got := h.pass(maxRead, 0); got != want {
				t.Errorf("bound, with CPU view %v: %q, want %q", p.CPUView, got, want)
			}
			if got := shared(); got != want {
				t.Errorf("shared, with CPU view %v: %q, want %q", p.CPUView, got, want)
			}
		}
		for _, all := range s.byPlace {
			for _, c := range all {
				s.drop(c)
			}
		}
	})
}

func fileAt(t *testing.T, path string) *File {
	t.Helper()
	for _, f := range Files() {
		if f.Path == path {
			return &f
		}
	}
	t.Fatalf("no file %s in the table", path)
	return nil
}
