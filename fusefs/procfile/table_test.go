// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A tableFile is what [Meminfo] and its like have in common.
type tableFile interface {
	Parse(text []byte) error
	Append(dst []byte) []byte
	Len() int
	Name(i int) string
	Value(i int) uint64
	SetValue(i int, value uint64)
}

// A tableKind is one such file: where the captured hosts have it, and its parser.
type tableKind struct {
	paths []string
	make  func() tableFile
}

func tableKinds() map[string]tableKind {
	const node = "sys/devices/system/node/node"
	return map[string]tableKind{
		"meminfo":      {[]string{"proc/meminfo"}, func() tableFile { return new(Meminfo) }},
		"vmstat":       {[]string{"proc/vmstat"}, func() tableFile { return new(Vmstat) }},
		"node-meminfo": {[]string{node + "0/meminfo", node + "1/meminfo"}, func() tableFile { return new(NodeMeminfo) }},
		"numastat":     {[]string{node + "0/numastat", node + "1/numastat"}, func() tableFile { return new(Numastat) }},
	}
}

// tableTexts are the texts of one kind: synthetic ones, this machine's and those
// of the captured hosts.
func tableTexts(tb testing.TB, kind string) map[string][]byte {
	tb.Helper()
	paths := tableKinds()[kind].paths
	texts := own(tb, kind, "/"+paths[0])
	for name, text := range capturedFiles(tb) {
		if slices.ContainsFunc(paths, func(path string) bool { return strings.HasSuffix(name, "/"+path) }) {
			texts[name] = text
		}
	}
	return texts
}

// capturedFiles are the files of all kinds of all captured hosts, read without
// unpacking the rest.
func capturedFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	texts := make(map[string][]byte)
	for _, name := range fixture.Names(tb) {
		archive, err := txtar.ParseFile(filepath.Join("..", "..", "test", "fixture", name+".txtar"))
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range archive.Files {
			texts[name+"/"+f.Name] = f.Data
		}
	}
	return texts
}

// Parse then append gives the same bytes, also where each number was written anew:
// this is what makes it safe to change one.
func TestTablesAreTheKernels(t *testing.T) {
	for kind, file := range tableKinds() {
		for name, text := range tableTexts(t, kind) {
			m := file.make()
			if err := m.Parse(text); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := m.Append(nil); !bytes.Equal(got, text) {
				t.Errorf("%s: parse and append changed it:\n%s", name, got)
			}
			for i := range m.Len() {
				if m.Name(i) == "" && !strings.HasPrefix(name, "synthetic") {
					t.Errorf("%s: row %d isn't understood", name, i+1)
				}
				if m.Name(i) == "Nodes(huge)" { // not the kernel's
					continue
				}
				v := m.Value(i)
				m.SetValue(i, v^4096)
				m.SetValue(i, v)
			}
			if got := m.Append(nil); !bytes.Equal(got, text) {
				t.Errorf("%s: rows written anew differ:\n%s", name, got)
			}
		}
	}
}

// Numbers keep their columns when they get shorter or longer than they were.
func TestTableColumns(t *testing.T) {
	for _, c := range []struct {
		file       tableFile
		text, want string
		values     []uint64
	}{
		{
			new(NodeMeminfo),
			"Node 1 MemTotal:       1585446040 kB\nNode 1 MemFree:        99999999 kB\nNode 1 FileHugePages:        0 kB\n" +
				"Node 1 HugePages_Total:     8\nNode 1 HugePages_Free:  123456\n",
			"Node 1 MemTotal:            512 kB\nNode 1 MemFree:        123456789 kB\nNode 1 FileHugePages:     2048 kB\n" +
				"Node 1 HugePages_Total: 123456\nNode 1 HugePages_Free:      0\n",
			[]uint64{512 * kB, 123456789 * kB, 2049*kB - 1, 123456, 0},
		},
		{
			new(Vmstat),
			"nr_free_pages 2660395\npgfault 1\n", "nr_free_pages 0\npgfault 18446744073709551615\n",
			[]uint64{0, 1<<64 - 1},
		},
	} {
		if err := c.file.Parse([]byte(c.text)); err != nil {
			t.Fatal(err)
		}
		for i, v := range c.values {
			c.file.SetValue(i, v)
		}
		if got := string(c.file.Append([]byte("x")))[1:]; got != c.want {
			t.Errorf("got\n%swant\n%s", got, c.want)
		}
	}
}

func TestNodeMeminfoUnknownRowsPass(t *testing.T) {
	text := files(t, "node-meminfo")["synthetic-large-unknown.txt"]
	m, err := ParseNodeMeminfo(text)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := m.Get("FutureThing"); v != 12*kB || !ok {
		t.Errorf("FutureThing = %d, %v", v, ok)
	}
	if v, ok := m.Get("Odd/Units"); ok {
		t.Errorf("Odd/Units = %d, though it has no number of the known form", v)
	}
	m.Set("MemTotal", 4096)
	want := strings.Replace(string(text), "1585446040 kB", "       4 kB", 1)
	if got := string(m.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTableErrors(t *testing.T) {
	node := func() tableFile { return new(NodeMeminfo) }
	vmstat := func() tableFile { return new(Vmstat) }
	numastat := func() tableFile { return new(Numastat) }
	const atVmstat, atNode = "parse proc/vmstat: ", "parse sys/devices/system/node/node*/meminfo: "
	for _, c := range []struct {
		make    func() tableFile
		text    string
		cause   error
		message string
	}{
		{vmstat, "", ErrEmpty, atVmstat + "file is empty"},
		{vmstat, "nr_free_pages 1\npgfau", ErrTruncated, atVmstat + `line 2: "pgfau": last line has no newline`},
		{vmstat, "nr_free_pages -1\n", ErrNumber, atVmstat + `line 1: "nr_free_pages -1": not a number in range`},
		{vmstat, "nr_free_pages 1\nfuture 1 2\n", ErrNumber, atVmstat + `line 2: "future 1 2": not a number in range`},
		{vmstat, "nr_free_pages  1\n", ErrNumber, atVmstat + `line 1: "nr_free_pages  1": not a number in range`},
		{vmstat, "nr_free_pages 18446744073709551616\n", ErrNumber, atVmstat + `line 1: "nr_free_pages 18446744073709551616": not a number in range`},
		{vmstat, "\n", ErrNumber, atVmstat + `line 1: "": not a number in range`},
		{vmstat, " 1\n", ErrNumber, atVmstat + `line 1: " 1": not a number in range`},
		{vmstat, "pgfault 1\n", ErrMissing, atVmstat + `"nr_free_pages": required line is missing`},
		{numastat, "pgfault 1\n", ErrMissing, `parse sys/devices/system/node/node*/numastat: "numa_hit": required line is missing`},
		{node, "", ErrEmpty, atNode + "file is empty"},
		{node, "Node 0 MemTotal: 1 kB", ErrTruncated, atNode + `line 1: "Node 0 MemTotal: 1 kB": last line has no newline`},
		{node, "Node 0 MemTotal: x kB\n", ErrNumber, atNode + `line 1: "Node 0 MemTotal: x kB": not a number in range`},
		{node, "Node 0 FilePages: -1 kB\n", ErrNumber, atNode + `line 1: "Node 0 FilePages: -1 kB": not a number in range`},
		{node, "Node 0 MemTotal: 18014398509481984 kB\n", ErrNumber, atNode + `line 1: "Node 0 MemTotal: 18014398509481984 kB": not a number in range`},
		{node, "Node 0 MemTotal: 1\n", ErrMissing, atNode + `"MemTotal": required line is missing`},
		{node, "MemTotal:     1 kB\n", ErrMissing, atNode + `"MemTotal": required line is missing`},
		{node, "Node x MemTotal:     1 kB\n", ErrMissing, atNode + `"MemTotal": required line is missing`},
	} {
		m := c.make()
		err := m.Parse([]byte(c.text))
		var parse *ParseError
		if !errors.Is(err, c.cause) || !errors.As(err, &parse) || m.Len() != 0 || len(m.Append(nil)) != 0 {
			t.Errorf("%q: %d rows, %v", c.text, m.Len(), err)
			continue
		}
		if parse.Error() != c.message {
			t.Errorf("%q: message\n%s, want\n%s", c.text, parse, c.message)
		}
	}
	for _, err := range []error{
		func() error { _, err := ParseVmstat(nil); return err }(),
		func() error { _, err := ParseNodeMeminfo(nil); return err }(),
		func() error { _, err := ParseNumastat(nil); return err }(),
	} {
		if !errors.Is(err, ErrEmpty) {
			t.Errorf("of nothing: %v", err)
		}
	}
}

func TestTablesAllocateNothingWarm(t *testing.T) {
	for kind, file := range tableKinds() {
		for name, text := range tableTexts(t, kind) {
			m := file.make()
			var buf []byte
			round := func() {
				if err := m.Parse(text); err != nil {
					t.Fatal(err)
				}
				for i := range m.Len() {
					m.SetValue(i, 1<<40)
				}
				buf = m.Append(buf[:0])
			}
			round()
			if n := testing.AllocsPerRun(10, round); n != 0 {
				t.Errorf("%s: %v allocations per parse and append", name, n)
			}
		}
	}
}

func fuzzTable(f *testing.F, kind string) {
	for _, text := range tableTexts(f, kind) {
		f.Add(text)
	}
	file := tableKinds()[kind]
	f.Fuzz(func(t *testing.T, text []byte) {
		m := file.make()
		if err := m.Parse(text); err != nil {
			var parse *ParseError
			if !errors.As(err, &parse) || parse.Error() == "" {
				t.Fatalf("error %v is no *ParseError", err)
			}
			return
		}
		if got := m.Append(nil); !bytes.Equal(got, text) {
			t.Fatalf("%q became %q", text, got)
		}
		for i := range m.Len() {
			m.SetValue(i, m.Value(i)/3)
		}
		again := file.make()
		if err := again.Parse(m.Append(nil)); err != nil {
			t.Fatalf("what was written can't be parsed: %v", err)
		}
		for i := range m.Len() {
			if m.Name(i) != again.Name(i) || m.Name(i) != "" && m.Value(i) != again.Value(i) {
				t.Fatalf("row %q: %d became row %q: %d", m.Name(i), m.Value(i), again.Name(i), again.Value(i))
			}
		}
	})
}

func FuzzParseMeminfo(f *testing.F) { fuzzTable(f, "meminfo") }

func FuzzParseVmstat(f *testing.F) { fuzzTable(f, "vmstat") }

func FuzzParseNodeMeminfo(f *testing.F) { fuzzTable(f, "node-meminfo") }

func FuzzParseNumastat(f *testing.F) { fuzzTable(f, "numastat") }

func BenchmarkVmstat(b *testing.B) {
	text := []byte(fixture.Load(b, "debian12-v2").Read("proc/vmstat"))
	var host, v Vmstat
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := host.Parse(text); err != nil {
			b.Fatal(err)
		}
		v.CopyFrom(&host)
		for i := range v.Len() {
			v.SetValue(i, 1<<30)
		}
		buf = v.Append(buf[:0])
	}
}
