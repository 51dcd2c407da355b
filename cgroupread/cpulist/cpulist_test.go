// SPDX-License-Identifier: Apache-2.0

package cpulist

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func mustParse(t *testing.T, text string) Set {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return s
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, canonical string
		ids             []int
	}{
		{"", "", nil},
		{"\n", "", nil},
		{" \t\n", "", nil},
		{"0", "0", []int{0}},
		{"0\n", "0", []int{0}},
		{"0-3,8\n", "0-3,8", []int{0, 1, 2, 3, 8}},
		{"0-1", "0-1", []int{0, 1}},
		{"7-7", "7", []int{7}},
		{"3,1,2", "1-3", []int{1, 2, 3}},
		{"0-4,2-6", "0-6", []int{0, 1, 2, 3, 4, 5, 6}},
		{"63,64", "63-64", []int{63, 64}},
		{"62-65,127-128", "62-65,127-128", []int{62, 63, 64, 65, 127, 128}},
		{"1024,4095,65535", "1024,4095,65535", []int{1024, 4095, 65535}},
		{"007", "7", []int{7}},
	} {
		s := mustParse(t, c.text)
		if got := s.IDs(); !slices.Equal(got, c.ids) {
			t.Errorf("Parse(%q).IDs() = %v, want %v", c.text, got, c.ids)
		}
		if got := s.String(); got != c.canonical {
			t.Errorf("Parse(%q).String() = %q, want %q", c.text, got, c.canonical)
		}
		if got := s.Len(); got != len(c.ids) {
			t.Errorf("Parse(%q).Len() = %d, want %d", c.text, got, len(c.ids))
		}
		want := -1
		if len(c.ids) > 0 {
			want = c.ids[len(c.ids)-1]
		}
		if got := s.Max(); got != want {
			t.Errorf("Parse(%q).Max() = %d, want %d", c.text, got, want)
		}
		if !s.Equal(Of(c.ids...)) {
			t.Errorf("Parse(%q) and Of(%v) differ", c.text, c.ids)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, cause := range map[string]error{
		",":                          errNoNumber,
		"0,":                         errNoNumber,
		",0":                         errNoNumber,
		"0,,1":                       errNoNumber,
		"-":                          errNoNumber,
		"-1":                         errNoNumber,
		"1-":                         errNoNumber,
		"3-1":                        errBackwards,
		"65536":                      errTooLarge,
		"0-65536":                    errTooLarge,
		"99999999999999999999999999": errTooLarge,
		"0 1":                        errNotDigit,
		"0, 1":                       errNotDigit,
		"+1":                         errNotDigit,
		"0x1":                        errNotDigit,
		"1-2-3":                      errNotDigit,
		"0-31:2/4":                   errNotDigit,
		"all":                        errNotDigit,
		"0\n1":                       errNotDigit,
		"0\x00":                      errNotDigit,
		"٣":                          errNotDigit,
	} {
		s, err := Parse(text)
		if !errors.Is(err, cause) {
			t.Errorf("Parse(%q): error %v, want %v", text, err, cause)
		}
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("Parse(%q): error %T, want a *ParseError", text, err)
		}
		if !s.IsEmpty() {
			t.Errorf("Parse(%q) returned %v beside its error", text, s)
		}
	}
	_, err := Parse("0," + strings.Repeat("x", 1000))
	if err == nil || len(err.Error()) > 150 {
		t.Errorf("the message for a long item has %d bytes: %v", len(err.Error()), err)
	}
}

func TestOperations(t *testing.T) {
	for _, c := range []struct{ a, b, and, minus, or string }{
		{"", "", "", "", ""},
		{"0-3", "", "", "0-3", "0-3"},
		{"0-3", "2-5", "2-3", "0-1", "0-5"},
		{"0-200", "100-300", "100-200", "0-99", "0-300"},
		{"0,1024", "1024", "1024", "0", "0,1024"},
		{"0,1024", "0", "0", "1024", "0,1024"},
		{"64-127", "64-127", "64-127", "", "64-127"},
	} {
		a, b := mustParse(t, c.a), mustParse(t, c.b)
		for _, op := range []struct {
			name, want string
			got        Set
		}{
			{"Intersect", c.and, a.Intersect(b)},
			{"Minus", c.minus, a.Minus(b)},
			{"Union", c.or, a.Union(b)},
			{"Intersect swapped", c.and, b.Intersect(a)},
			{"Union swapped", c.or, b.Union(a)},
		} {
			if op.got.String() != op.want || !op.got.Equal(mustParse(t, op.want)) {
				t.Errorf("%q %s %q = %q, want %q", c.a, op.name, c.b, op.got, op.want)
			}
		}
		if a.String() != c.a || b.String() != c.b {
			t.Errorf("an operation changed its operand: %q %q, were %q %q", a, b, c.a, c.b)
		}
	}
}

func TestFirst(t *testing.T) {
	s := mustParse(t, "2,5-7,100,1500")
	for n, want := range map[int]string{-1: "", 0: "", 1: "2", 3: "2,5-6", 5: "2,5-7,100", 6: "2,5-7,100,1500", 99: "2,5-7,100,1500"} {
		if got := s.First(n); got.String() != want || !got.Equal(mustParse(t, want)) {
			t.Errorf("First(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHas(t *testing.T) {
	s := mustParse(t, "0,63-64,1500")
	for id, want := range map[int]bool{-1: false, 0: true, 1: false, 63: true, 64: true, 65: false, 1500: true, 1501: false, 1 << 20: false} {
		if got := s.Has(id); got != want {
			t.Errorf("Has(%d) = %v, want %v", id, got, want)
		}
	}
}

func TestRange(t *testing.T) {
	if got := Range(3, 2); !got.IsEmpty() {
		t.Errorf("Range(3, 2) = %q, want no CPU", got)
	}
	if got := Range(0, MaxID).Len(); got != MaxID+1 {
		t.Errorf("Range(0, MaxID) has %d ids, want %d", got, MaxID+1)
	}
	for name, f := range map[string]func(){"Of": func() { Of(-1) }, "Range": func() { Range(0, MaxID+1) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took an id out of range", name)
				}
			}()
			f()
		}()
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(map[string]Set{"visible": Of(0, 1, 2, 8)})
	if err != nil || string(text) != `{"visible":"0-2,8"}` {
		t.Fatalf("Marshal = %s, %v", text, err)
	}
	var back map[string]Set
	if err := json.Unmarshal(text, &back); err != nil || !back["visible"].Equal(Of(0, 1, 2, 8)) {
		t.Fatalf("Unmarshal = %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"x"`), new(Set)); err == nil {
		t.Fatal("Unmarshal took a bad list")
	}
}

func TestNoAllocationBelow64(t *testing.T) {
	a, b := mustParse(t, "0-31,40"), mustParse(t, "2-63")
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		s, err := Parse("0-3,8\n")
		if err != nil {
			t.Fatal(err)
		}
		buf = a.Intersect(b).First(4).Union(s).Append(buf[:0])
	}); n != 0 {
		t.Errorf("parse, combine, append: %v allocations, want 0", n)
	}
}

// FuzzParse holds: what is parsed is written in canonical form, and that form
// parses to the same set; nothing panics.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "\n", "0", "0-3,8\n", "1-", "65535", "65536", "0-65535,5", "3,2,1", "62-65", "9-1", "0,,1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		canonical := s.String()
		again, err := Parse(canonical)
		if err != nil || !again.Equal(s) || again.String() != canonical {
			t.Fatalf("%q became %q, which reads back as %q, %v", text, canonical, again, err)
		}
		if ids := s.IDs(); !Of(ids...).Equal(s) || len(ids) != s.Len() || !slices.IsSorted(ids) {
			t.Fatalf("%q: ids %v, length %d", text, ids, s.Len())
		}
	})
}
