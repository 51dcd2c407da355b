// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"errors"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// The corpora under testdata/fuzz hold what captured hosts say, and what earlier
// runs found worth keeping.

// A limit is written as it was read, but for "no limit".
func FuzzParseLimit(f *testing.F) {
	f.Add([]byte("max\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		limit, err := ParseLimit(text)
		if err != nil {
			wantParseError(t, err)
			return
		}
		again, err := ParseLimit([]byte(limit.String()))
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
			func() (limits.Quota, error) { return ParseCPUMax(a) },
			func() (limits.Quota, error) { return ParseCFS(a, b) },
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
		err := ParseMemoryStat(text, &whole)
		if _, errV1 := ParseMemoryStatV1(text, &limits.MemoryStat{}); (err == nil) != (errV1 == nil) {
			t.Fatalf("%q: v2 %v, v1 %v", text, err, errV1)
		}
		if err != nil {
			wantParseError(t, err)
			return
		}
		cut := bytes.IndexByte(text, '\n') + 1
		err = errors.Join(ParseMemoryStat(text[:cut], &halves), ParseMemoryStat(text[cut:], &halves))
		if err != nil || whole != halves {
			t.Fatalf("%q: %+v, in two halves %+v, %v", text, whole, halves, err)
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
