// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// diskstatsTexts are synthetic texts, this machine's and those of the captured
// hosts.
func diskstatsTexts(tb testing.TB) map[string][]byte {
	tb.Helper()
	texts := own(tb, "diskstats", "/proc/diskstats")
	for _, name := range fixture.Names(tb) {
		texts[name] = []byte(fixture.Load(tb, name).Read("proc/diskstats"))
	}
	return texts
}

func TestDiskstatsRoundTrip(t *testing.T) {
	for name, text := range diskstatsTexts(t) {
		d, err := ParseDiskstats(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.Append(nil); !bytes.Equal(got, text) {
			t.Errorf("%s: parse and append changed it:\n%s", name, got)
		}
		if d.Len() != bytes.Count(text, []byte{'\n'}) {
			t.Errorf("%s: %d lines", name, d.Len())
		}
	}
}

// Lines that are made are the kernel's but for the columns nobody knows.
func TestDiskstatsAddFrom(t *testing.T) {
	texts := files(t, "diskstats")
	for name, want := range map[string]string{
		"synthetic-4.14.txt": "   8       0 sda 1024 0 204800 0 77 0 616 0 0 0 0\n" +
			"   8       1 sda1 1000 0 204000 0 77 0 616 0 0 0 0\n" +
			" 253       0 dm-0 4294967296 0 18446744073709551615 0 0 0 0 0 0 0 0\n",
		"synthetic-4.19.txt": "   8       0 sda 1024 0 204800 0 77 0 616 0 0 0 0 9 0 72 0\n" +
			" 259       3 nvme0n1p2 88 0 704 0 0 0 0 0 0 0 0 0 0 0 0\n" +
			"11000 1048575 odd!name 1 0 3 0 5 0 7 0 0 0 0 12 0 14 0\n",
		"synthetic-other-lines.txt": "   8       0 sda 1024 0 204800 0 77 0 616 0 0 0 0 9 0 72 0 0 0\n" +
			"   8      16 sdb 1 0 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
	} {
		host, err := ParseDiskstats(texts[name])
		if err != nil {
			t.Fatal(err)
		}
		var d Diskstats
		for i := range host.Len() {
			if _, _, ok := host.Device(i); ok {
				d.AddFrom(host, i, host.IO(i))
			}
		}
		if got := string(d.Append([]byte("x")))[1:]; got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestDiskstatsDevices(t *testing.T) {
	d, err := ParseDiskstats(files(t, "diskstats")["synthetic-other-lines.txt"])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		major, minor uint32
		name         string
		io           DiskIO
	}{
		{8, 0, "sda", DiskIO{Reads: 1024, ReadSectors: 204800, Writes: 77, WriteSectors: 616, Discards: 9, DiscardSectors: 72}},
		{},
		{},
		{8, 16, "sdb", DiskIO{Reads: 1, ReadSectors: 8}},
	} {
		major, minor, ok := d.Device(i)
		if major != want.major || minor != want.minor || ok != (want.name != "") || d.Name(i) != want.name || d.IO(i) != want.io {
			t.Errorf("line %d: %d:%d %v %q %+v", i+1, major, minor, ok, d.Name(i), d.IO(i))
		}
	}
	d.Reset()
	if d.Len() != 0 || len(d.Append(nil)) != 0 {
		t.Errorf("after Reset: %q", d.Append(nil))
	}
}

func TestDiskstatsErrors(t *testing.T) {
	const at = "parse proc/diskstats: "
	for _, c := range []struct {
		text    string
		cause   error
		message string
	}{
		{"   8       0 sda 1 2", ErrTruncated, at + `line 1: "   8       0 sda 1 2": last line has no newline`},
		{"   8       0 sda 1 2\n\n", ErrNumber, at + `line 2: "": not a number in range`},
		{"cpu 1 2 3\n", ErrNumber, at + `line 1: "cpu 1 2 3": not a number in range`},
		{"8 -1 sda 1\n", ErrNumber, at + `line 1: "8 -1 sda 1": not a number in range`},
		{"4294967296 0 sda 1\n", ErrNumber, at + `line 1: "4294967296 0 sda 1": not a number in range`},
		{"0 4294967296 sda 1\n", ErrNumber, at + `line 1: "0 4294967296 sda 1": not a number in range`},
	} {
		d, err := ParseDiskstats([]byte(c.text))
		var parse *ParseError
		if d != nil || !errors.Is(err, c.cause) || !errors.As(err, &parse) {
			t.Errorf("%q: %v, %v", c.text, d, err)
			continue
		}
		if parse.Error() != c.message {
			t.Errorf("%q: message\n%s, want\n%s", c.text, parse, c.message)
		}
	}
	var d Diskstats
	for range 2 { // a value that saw an error is empty and usable
		if err := d.Parse([]byte("x\n")); err == nil || d.Len() != 0 {
			t.Errorf("%v, %d lines", err, d.Len())
		}
		if err := d.Parse(nil); err != nil {
			t.Errorf("a host without devices: %v", err)
		}
		if err := d.Parse([]byte("8 0 sda\n")); err != nil || d.Len() != 1 {
			t.Errorf("%v, %d lines", err, d.Len())
		}
	}
}

func FuzzParseDiskstats(f *testing.F) {
	for _, text := range diskstatsTexts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDiskstats(text)
		if err != nil {
			var parse *ParseError
			if !errors.As(err, &parse) || parse.Error() == "" {
				t.Fatalf("error %v is no *ParseError", err)
			}
			return
		}
		if got := d.Append(nil); !bytes.Equal(got, text) {
			t.Fatalf("%q became %q", text, got)
		}
		var added Diskstats
		for i := range d.Len() {
			if _, _, ok := d.Device(i); ok {
				added.AddFrom(d, i, d.IO(i))
			}
		}
		again, err := ParseDiskstats(added.Append(nil))
		if err != nil || again.Len() != added.Len() {
			t.Fatalf("what was written can't be parsed: %q, %v", added.Append(nil), err)
		}
		for i := range again.Len() {
			major, minor, _ := added.Device(i)
			gotMajor, gotMinor, ok := again.Device(i)
			if !ok || major != gotMajor || minor != gotMinor || added.Name(i) != again.Name(i) || added.IO(i) != again.IO(i) {
				t.Fatalf("line %d of %q", i+1, added.Append(nil))
			}
		}
	})
}

func BenchmarkDiskstats(b *testing.B) {
	text := []byte(strings.Repeat(fixture.Load(b, "debian12-v2").Read("proc/diskstats"), 10))
	var host, d Diskstats
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := host.Parse(text); err != nil {
			b.Fatal(err)
		}
		d.Reset()
		for i := range host.Len() {
			d.AddFrom(&host, i, host.IO(i))
		}
		buf = d.Append(buf[:0])
	}
}
