// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// The corpora under testdata/fuzz hold what captured hosts say, and what earlier
// runs found worth keeping.

// A limit is written as it was read, but for "no limit".
func FuzzParseLimit(f *testing.F) {
	f.Add([]byte("max\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		limit, err := parseLimit(text)
		if err != nil {
			wantParseError(t, err)
			return
		}
		again, err := parseLimit([]byte(limit.String()))
		if err != nil || again != limit {
			t.Fatalf("%q: %v reads back as %v, %v", text, limit, again, err)
		}
		if n, limited := limit.Value(); limited && n >= unlimited {
			t.Fatalf("%q: limited to %d", text, n)
		}
	})
}

// Both versions' files give a quota that is none or positive.
func FuzzParseQuota(f *testing.F) {
	f.Add([]byte("50000 100000\n"), []byte("-1\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, parse := range []func() (limits.Quota, error){
			func() (limits.Quota, error) { return parseCPUMax(a) },
			func() (limits.Quota, error) { return parseCFS(a, b) },
		} {
			q, err := parse()
			if err != nil {
				wantParseError(t, err)
				if q != (limits.Quota{}) {
					t.Fatalf("%q, %q: %v beside an error", a, b, q)
				}
				continue
			}
			if n, limited := q.CPUs(); q.Quota < 0 || q.Period < 0 || limited && n < 1 {
				t.Fatalf("%q, %q: %v", a, b, q)
			}
		}
	})
}

// A text read in two halves at a line's end gives what the whole gives.
func FuzzParseMemoryStat(f *testing.F) {
	f.Add([]byte("anon 1\nfile 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var whole, halves limits.MemoryStat
		err := parseMemoryStat(text, &whole)
		if _, errV1 := parseMemoryStatV1(text, &limits.MemoryStat{}); (err == nil) != (errV1 == nil) {
			t.Fatalf("%q: v2 %v, v1 %v", text, err, errV1)
		}
		if err != nil {
			wantParseError(t, err)
			return
		}
		cut := bytes.IndexByte(text, '\n') + 1
		err = errors.Join(parseMemoryStat(text[:cut], &halves), parseMemoryStat(text[cut:], &halves))
		if err != nil || whole != halves {
			t.Fatalf("%q: %+v, in two halves %+v, %v", text, whole, halves, err)
		}
	})
}

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
