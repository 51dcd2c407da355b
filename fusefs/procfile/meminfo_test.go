// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files reads testdata/dir. Those called synthetic were written by hand after the
// kernel's source; the others were captured.
func files(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no files in testdata/%s: %v", dir, err)
	}
	texts := make(map[string][]byte)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		texts[filepath.Base(path)] = text
	}
	return texts
}

// own returns a file of the machine's own /proc beside those of testdata.
func own(tb testing.TB, dir, path string) map[string][]byte {
	tb.Helper()
	texts := files(tb, dir)
	if text, err := os.ReadFile(path); err == nil {
		texts[path] = text
	}
	return texts
}

func TestMeminfoSet(t *testing.T) {
	const text = "MemTotal:       24684096 kB\n" +
		"MemFree:        24432236 kB\n" +
		"Inactive(file):    22412 kB\n" +
		"ShadowCallStack:     512 kB\n" +
		"HardwareCorrupted:     0 kB\n" +
		"HugePages_Total:       0\n" +
		"New row, unread\n"
	m, err := ParseMeminfo([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		name  string
		bytes uint64
		found bool
	}{
		{"MemTotal", 262144 * kB, true},
		{"MemFree", 1023, true}, // less than a kB is none
		{"Inactive(file)", math.MaxUint64, true},
		{"ShadowCallStack", 123456789 * kB, true},
		{"HardwareCorrupted", 123456 * kB, true},
		{"HugePages_Total", 123456, true},
		{"Absent", 1, false},
		{"", 1, false},
	} {
		if found := m.Set(set.name, set.bytes); found != set.found {
			t.Errorf("Set(%q) = %v", set.name, found)
		}
	}
	const want = "MemTotal:         262144 kB\n" +
		"MemFree:               0 kB\n" +
		"Inactive(file): 18014398509481983 kB\n" +
		"ShadowCallStack:123456789 kB\n" +
		"HardwareCorrupted: 123456 kB\n" +
		"HugePages_Total:   123456\n" +
		"New row, unread\n"
	if got := string(m.Append([]byte("x")))[1:]; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	m.SetValue(6, 7)
	if got := string(m.Append(nil)); got != want {
		t.Error("SetValue changed a line without a name")
	}
	if v, ok := m.Get("MemTotal"); v != 262144*kB || !ok {
		t.Errorf("Get(MemTotal) = %d, %v", v, ok)
	}
	if v, ok := m.Get("HugePages_Total"); v != 123456 || !ok {
		t.Errorf("Get(HugePages_Total) = %d, %v", v, ok)
	}
	for _, name := range []string{"memtotal", "MemTotal:", ""} {
		if v, ok := m.Get(name); ok {
			t.Errorf("Get(%q) = %d", name, v)
		}
	}
}

func TestMeminfoUnknownRowsPass(t *testing.T) {
	text := files(t, "meminfo")["synthetic-unknown-rows.txt"]
	m, err := ParseMeminfo(text)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := m.Get("FutureThing"); v != 12*kB || !ok {
		t.Errorf("FutureThing = %d, %v", v, ok)
	}
	if v, ok := m.Get("Nodes(huge)"); v != 7 || !ok {
		t.Errorf("Nodes(huge) = %d, %v", v, ok)
	}
	for _, name := range []string{"Pools", "Odd/Units"} {
		if v, ok := m.Get(name); ok {
			t.Errorf("%s = %d, though it has no number of the known form", name, v)
		}
	}
	m.Set("MemTotal", 4096)
	want := strings.Replace(string(text), " 8123456 kB", "       4 kB", 1)
	if got := string(m.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMeminfoErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		cause      error
		message    string
	}{
		{"empty", "", ErrEmpty, "parse proc/meminfo: file is empty"},
		{"no newline", "MemTotal:        1 kB\nMemFr", ErrTruncated, `parse proc/meminfo: line 2: "MemFr": last line has no newline`},
		{"letters", "MemTotal:      abc kB\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:      abc kB": not a number in range`},
		{"negative", "MemTotal:        1 kB\nMemFree:        -1 kB\n", ErrNumber, `parse proc/meminfo: line 2: "MemFree:        -1 kB": not a number in range`},
		{"no number", "MemTotal:\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:": not a number in range`},
		{"another unit", "MemTotal:       1 MB\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:       1 MB": not a number in range`},
		{"2^64 kB", "MemTotal: 18446744073709551616 kB\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal: 18446744073709551616 kB": not a number in range`},
		{"2^54 kB", "MemTotal: 18014398509481984 kB\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal: 18014398509481984 kB": not a number in range`},
		{"tab", "MemTotal:\t1 kB\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:\t1 kB": not a number in range`},
		{"NUL", "MemTotal:      1 kB\x00\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:      1 kB\x00": not a number in range`},
		{"another file", "processor\t: 0\n\n", ErrMissing, `parse proc/meminfo: "MemTotal": required line is missing`},
		{"no unit", "MemTotal:       1\n", ErrMissing, `parse proc/meminfo: "MemTotal": required line is missing`},
		{"long line", "MemTotal:" + strings.Repeat("x", 999) + "\n", ErrNumber, `parse proc/meminfo: line 1: "MemTotal:` + strings.Repeat("x", 71) + `": not a number in range`},
	} {
		m, err := ParseMeminfo([]byte(c.text))
		var parse *ParseError
		if m != nil || !errors.Is(err, c.cause) || !errors.As(err, &parse) {
			t.Errorf("%s: got %v, %v", c.name, m, err)
			continue
		}
		if parse.Error() != c.message {
			t.Errorf("%s: message\n%s, want\n%s", c.name, parse, c.message)
		}
	}
}

func TestMeminfoAfterErrorIsEmptyAndUsable(t *testing.T) {
	text := files(t, "meminfo")["debian12-linux6.18-x86_64.txt"]
	var m Meminfo
	if err := m.Parse(text); err != nil {
		t.Fatal(err)
	}
	if err := m.Parse([]byte("MemTotal: x\n")); err == nil {
		t.Fatal("no error")
	}
	if got := m.Append(nil); m.Len() != 0 || len(got) != 0 {
		t.Errorf("after an error: %d rows, %q", m.Len(), got)
	}
	if err := m.Parse(text); err != nil || !bytes.Equal(m.Append(nil), text) {
		t.Errorf("parsing again after an error: %v", err)
	}
}

func TestMeminfoCopyIsIndependent(t *testing.T) {
	text := bytes.Clone(files(t, "meminfo")["debian12-linux6.18-x86_64.txt"])
	m, err := ParseMeminfo(text)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for i := range text { // the parser's input belongs to the caller
		text[i] = '!'
	}
	var c Meminfo
	c.CopyFrom(m)
	c.Set("MemTotal", 0)
	if got := string(m.Append(nil)); got != want {
		t.Error("changing a copy changed the original")
	}
	m.Set("MemFree", 0)
	if v, _ := c.Get("MemFree"); v == 0 {
		t.Error("changing the original changed the copy")
	}
}

func TestMeminfoAllocatesNothingWarm(t *testing.T) {
	text := files(t, "meminfo")["debian12-linux6.18-x86_64.txt"]
	var m, c Meminfo
	var buf []byte
	round := func() {
		if err := m.Parse(text); err != nil {
			t.Fatal(err)
		}
		c.CopyFrom(&m)
		for i := range c.Len() {
			c.SetValue(i, 1<<40)
		}
		buf = c.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per parse, copy and append", n)
	}
}

func BenchmarkMeminfo(b *testing.B) {
	text := files(b, "meminfo")["debian12-linux6.18-x86_64.txt"]
	var m, c Meminfo
	var buf []byte
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := m.Parse(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CopyAndAppend", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.CopyFrom(&m)
			for i := range c.Len() {
				c.SetValue(i, 1<<30)
			}
			buf = c.Append(buf[:0])
		}
	})
}
