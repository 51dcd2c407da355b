// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The corpora under testdata/fuzz hold what captured hosts say, and what earlier
// runs found worth keeping.

// What is parsed says the same as the text.
func FuzzParseProcCgroup(f *testing.F) {
	f.Add([]byte("1:cpu,cpuacct:/a\n0::/b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		members, err := parseProcCgroup(text)
		if err != nil {
			wantParseError(t, err)
			return
		}
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		if len(text) == 0 {
			lines = nil
		}
		if len(members) != len(lines) {
			t.Fatalf("%q: %d lines became %d", text, len(lines), len(members))
		}
		for i, m := range members {
			want := strings.Join(m.controllers, ",") + ":" + m.path
			if _, got, _ := strings.Cut(string(lines[i]), ":"); got != want {
				t.Fatalf("line %q reads as %q", lines[i], want)
			}
		}
	})
}

// Whatever mounts there are, a layout only has what was asked for.
func FuzzNewLayout(f *testing.F) {
	f.Add([]byte("0::/\n"), []byte("2 1 0:2 / /sys/fs/cgroup rw - cgroup2 none rw\n"))
	f.Fuzz(func(t *testing.T, cgroup, mounts []byte) {
		members, err := parseProcCgroup(cgroup)
		if err != nil {
			return
		}
		l, err := newLayout(members, mounts)
		if err != nil {
			return
		}
		if l.Mode() < V1 || l.Mode() > V2 || len(l.hierarchies()) > len(members) {
			t.Fatalf("mode %v, %d hierarchies of %d", l.Mode(), len(l.hierarchies()), len(members))
		}
		for _, h := range l.Hierarchies() {
			if checkPath(h.Root) != nil || h.TrueRoot && h.Root != "/" {
				t.Fatalf("hierarchy %+v", h)
			}
		}
	})
}

// What the control socket takes goes back as it came.
func FuzzPathsJSON(f *testing.F) {
	f.Add([]byte(`{"unified":"/a","controllers":{"memory":"/b"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p, back Paths
		if err := json.Unmarshal(text, &p); err != nil {
			return
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := json.Unmarshal(out, &back); err != nil || !back.Equal(p) {
			t.Fatalf("%q: %v came back as %v from %s, %v", text, p, back, out, err)
		}
		_ = p.String()
		if trimmed := p.TrimInitScope(); !p.IsZero() && p.Contains(p) && !trimmed.Contains(p) {
			t.Fatalf("%v isn't below itself less init.scope, %v", p, trimmed)
		}
	})
}

func wantParseError(t *testing.T, err error) {
	t.Helper()
	var pe *ParseError
	if !errors.As(err, &pe) || pe.Line < 1 || pe.Err == nil {
		t.Fatalf("error %#v, want a ParseError with a line", err)
	}
}
