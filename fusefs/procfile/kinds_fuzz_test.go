// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"testing"
)

// fuzzKind checks what every parser must do, whatever the text: the same bytes
// back or a *ParseError. then, if any, checks a value further.
func fuzzKind[T appender](f *testing.F, dir string, parse func([]byte) (T, error), then func(*testing.T, T)) {
	f.Helper()
	for _, text := range files(f, dir) {
		f.Add(text)
		f.Add(text[:len(text)-1])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		value, err := parse(text)
		if err != nil {
			var parse *ParseError
			if !errors.As(err, &parse) || parse.Error() == "" {
				t.Fatalf("error %v is no *ParseError", err)
			}
			return
		}
		if got := value.Append(nil); !bytes.Equal(got, text) {
			t.Fatalf("%q became %q", text, got)
		}
		if then != nil {
			then(t, value)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	fuzzKind(f, "stat", ParseStat, func(t *testing.T, s *Stat) {
		var c Stat
		clearStat(&c, s)
		again, err := ParseStat(c.Append(nil))
		if err != nil {
			t.Fatalf("what was written can't be parsed: %v", err)
		}
		if again.CPUs() != s.CPUs() || again.Lines() != s.Lines() || len(again.Sum()) != len(s.Sum()) {
			t.Fatalf("lines were lost: %q", c.Append(nil))
		}
		for i := range s.Lines() {
			if again.Label(i) != s.Label(i) || again.Values(i) != s.Values(i) || again.Value(i) != 0 {
				t.Fatalf("line %q became %q", s.Label(i), again.Label(i))
			}
		}
	})
}

func FuzzParseSwaps(f *testing.F) {
	fuzzKind(f, "swaps", ParseSwaps, func(t *testing.T, s *Swaps) {
		var c Swaps
		c.CopyHeadings(s)
		c.Add(SwapArea{Name: "none", Type: "virtual", Size: 4096})
		if again, err := ParseSwaps(c.Append(nil)); err != nil || again.Areas() != 1 {
			t.Fatalf("%q: %v", c.Append(nil), err)
		}
	})
}

func FuzzParseSlabinfo(f *testing.F) {
	fuzzKind(f, "slabinfo", ParseSlabinfo, func(t *testing.T, s *Slabinfo) {
		var c Slabinfo
		c.CopyHeader(s)
		if again, err := ParseSlabinfo(c.Append(nil)); err != nil || again.Caches() != 0 {
			t.Fatalf("%q: %v", c.Append(nil), err)
		}
		if c.AddCaches(s); !bytes.Equal(c.Append(nil), s.Append(nil)) {
			t.Fatalf("%q became %q", s.Append(nil), c.Append(nil))
		}
	})
}

func FuzzParsePressure(f *testing.F) {
	fuzzKind(f, "pressure", ParsePressure, func(t *testing.T, p *Pressure) {
		var zero, again Pressure
		zero.CopyZero(p)
		if err := again.Parse(zero.Append(nil)); err != nil {
			t.Fatalf("zeros %q: %v", zero.Append(nil), err)
		}
		if again.CopyZero(&zero); !bytes.Equal(again.Append(nil), zero.Append(nil)) {
			t.Fatalf("zeros of %q are %q", zero.Append(nil), again.Append(nil))
		}
		if bytes.Count(zero.Append(nil), []byte{'='}) != bytes.Count(p.Append(nil), []byte{'='}) {
			t.Fatalf("%q became %q", p.Append(nil), zero.Append(nil))
		}
	})
}
