// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// A kind is one of the files that aren't edited row by row, with what all of them
// must do: the same bytes back, errors for what can't be the file, nothing
// allocated once warm.
type kind struct {
	dir   string   // below testdata
	paths []string // of the host, below /
	parse func([]byte) (appender, error)
	// warm returns a function that parses into the same value each time.
	warm func() func([]byte) (appender, error)
}

type appender interface{ Append([]byte) []byte }

// into makes a kind's functions of a type whose values are parsed into.
func into[T any, P interface {
	*T
	appender
	Parse([]byte) error
}](k kind, parse func([]byte) (P, error)) kind {
	k.parse = func(text []byte) (appender, error) { return parse(text) }
	k.warm = func() func([]byte) (appender, error) {
		value := P(new(T))
		return func(text []byte) (appender, error) { return value, value.Parse(text) }
	}
	return k
}

func kinds() map[string]kind {
	return map[string]kind{
		"stat":     into(kind{dir: "stat", paths: []string{"proc/stat"}}, ParseStat),
		"swaps":    into(kind{dir: "swaps", paths: []string{"proc/swaps"}}, ParseSwaps),
		"slabinfo": into(kind{dir: "slabinfo", paths: []string{"proc/slabinfo"}}, ParseSlabinfo),
		"pressure": into(kind{dir: "pressure", paths: []string{
			"proc/pressure/cpu", "proc/pressure/io", "proc/pressure/memory", "proc/pressure/irq",
		}}, ParsePressure),
	}
}

func TestKindsRoundTrip(t *testing.T) {
	for name, k := range kinds() {
		for _, path := range k.paths {
			for file, text := range own(t, k.dir, "/"+path) {
				k.roundTrip(t, name+": "+file, text)
			}
		}
	}
	for _, name := range fixture.Names(t) {
		host := fixture.Load(t, name)
		for _, kind := range []string{"stat", "swaps"} {
			k := kinds()[kind]
			k.roundTrip(t, name+": "+kind, []byte(host.Read(k.paths[0])))
		}
	}
}

func (k *kind) roundTrip(t *testing.T, name string, text []byte) {
	t.Helper()
	value, err := k.parse(text)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := value.Append([]byte("x")); !bytes.Equal(got[1:], text) {
		t.Errorf("%s: parse and append changed it:\n%s", name, got)
	}
}

// A read that was cut short within a line is an error; one that ends with a line
// is an error, or comes back as it is.
func TestKindsTruncated(t *testing.T) {
	for name, k := range kinds() {
		for file, text := range files(t, k.dir) {
			for end := range min(len(text), 3000) {
				value, err := k.parse(text[:end])
				switch {
				case end == 0:
					if !errors.Is(err, ErrEmpty) {
						t.Fatalf("%s: %s: nothing: %v", name, file, err)
					}
				case text[end-1] != '\n':
					if err == nil {
						t.Fatalf("%s: %s: %q: no error", name, file, text[:end])
					}
				case err == nil:
					if got := value.Append(nil); !bytes.Equal(got, text[:end]) {
						t.Fatalf("%s: %s: %q became %q", name, file, text[:end], got)
					}
				}
			}
		}
	}
}

func TestKindsRefuse(t *testing.T) {
	const stat = "cpu  1 2 3 4\ncpu0 1 2 3 4\nintr 5 1\nctxt 7\nbtime 9\n"
	swap := func(from, to string) string { return strings.Replace(stat, from, to, 1) }
	const slab = "slabinfo - version: 2.1\n"
	for _, c := range []struct {
		kind, text string
		cause      error
		message    string
	}{
		{"stat", "", ErrEmpty, `parse proc/stat: file is empty`},
		{"stat", strings.TrimSuffix(stat, "\n"), ErrTruncated, `parse proc/stat: line 5: "btime 9": last line has no newline`},
		{"stat", "cpu  1 2 3", ErrTruncated, `parse proc/stat: line 1: "cpu  1 2 3": last line has no newline`},
		{"stat", "cpu  1 2 3 4\ncpu0 1 2", ErrTruncated, `parse proc/stat: line 2: "cpu0 1 2": last line has no newline`},
		{"stat", "cpu  1 2 3 4\n", ErrMissing, `parse proc/stat: "btime": required line is missing`},
		{"stat", "ctxt 1\n" + stat, ErrMissing, `parse proc/stat: "cpu": required line is missing`},
		{"stat", swap("cpu  1", "cpu 1"), ErrNumber, `parse proc/stat: line 1: "cpu 1 2 3 4": not a number in range`},
		{"stat", swap("cpu  1 2 3 4", "cpu  1 2 3"), ErrForm, `parse proc/stat: line 1: "cpu  1 2 3": not of the kernel's form`},
		{"stat", swap("cpu  1 2 3 4", "cpu  1 2 3 -4"), ErrNumber, `parse proc/stat: line 1: "cpu  1 2 3 -4": not a number in range`},
		{"stat", swap("cpu  1 2 3 4", "cpu  1 2 3 4 "), ErrNumber, `parse proc/stat: line 1: "cpu  1 2 3 4 ": not a number in range`},
		{"stat", swap("cpu  1 2 3 4", "cpu  1 2 3 04"), ErrNumber, `parse proc/stat: line 1: "cpu  1 2 3 04": not a number in range`},
		{"stat", swap("cpu0 1 2 3 4", "cpu0 1 2 3 4 5"), ErrForm, `parse proc/stat: line 2: "cpu0 1 2 3 4 5": not of the kernel's form`},
		{"stat", swap("cpu0 1 2 3 4", "cpu0 1 2 3"), ErrForm, `parse proc/stat: line 2: "cpu0 1 2 3": not of the kernel's form`},
		{"stat", swap("cpu0 1 2 3 4", "cpu0"), ErrForm, `parse proc/stat: line 2: "cpu0": not of the kernel's form`},
		{"stat", swap("cpu0 1", "cpu0x 1"), ErrNumber, `parse proc/stat: line 2: "cpu0x 1 2 3 4": not a number in range`},
		{"stat", swap("cpu0 1", "cpu65536 1"), ErrNumber, `parse proc/stat: line 2: "cpu65536 1 2 3 4": not a number in range`},
		{"stat", swap("cpu0 1", "cpu0 18446744073709551616"), ErrNumber, `parse proc/stat: line 2: "cpu0 18446744073709551616 2 3 4": not a number in range`},
		{"stat", stat + "cpu1 1 2 3 4\n", ErrForm, `parse proc/stat: line 6: "cpu1 1 2 3 4": not of the kernel's form`},
		{"stat", stat + "cpu  1 2 3 4\n", ErrForm, `parse proc/stat: line 6: "cpu  1 2 3 4": not of the kernel's form`},
		{"stat", swap("ctxt 7", "ctxt"), ErrNumber, `parse proc/stat: line 4: "ctxt": not a number in range`},
		{"stat", swap("intr 5 1", "intr 5  1"), ErrNumber, `parse proc/stat: line 3: "intr 5  1": not a number in range`},
		{"stat", swap("btime 9", "btime x"), ErrNumber, `parse proc/stat: line 5: "btime x": not a number in range`},
		{"stat", swap("intr 5 1", "intr"+strings.Repeat(" x", 99)), ErrNumber, `parse proc/stat: line 3: "intr` + strings.Repeat(" x", 38) + `": not a number in range`},

		{"swaps", "", ErrEmpty, `parse proc/swaps: file is empty`},
		{"swaps", "Filename\tType", ErrTruncated, `parse proc/swaps: line 1: "Filename\tType": last line has no newline`},
		{"swaps", "/dev/vda partition 4 0 -2\n", ErrMissing, `parse proc/swaps: "Filename": required line is missing`},

		{"slabinfo", "", ErrEmpty, `parse proc/slabinfo: file is empty`},
		{"slabinfo", "dentry 1 2\n", ErrMissing, `parse proc/slabinfo: "slabinfo - version": required line is missing`},
		{"slabinfo", slab, ErrMissing, `parse proc/slabinfo: "# name": required line is missing`},
		{"slabinfo", slab + "dentry 1 2\n", ErrMissing, `parse proc/slabinfo: "# name": required line is missing`},
		{"slabinfo", slab + "# name\ndentry 1", ErrTruncated, `parse proc/slabinfo: line 3: "dentry 1": last line has no newline`},

		{"pressure", "", ErrEmpty, `parse proc/pressure: file is empty`},
		{"pressure", "some avg10=0.00", ErrTruncated, `parse proc/pressure: line 1: "some avg10=0.00": last line has no newline`},
		{"pressure", "some\n", ErrForm, `parse proc/pressure: line 1: "some": not of the kernel's form`},
		{"pressure", "some \n", ErrForm, `parse proc/pressure: line 1: "some ": not of the kernel's form`},
		{"pressure", "most avg10=0.00\n", ErrForm, `parse proc/pressure: line 1: "most avg10=0.00": not of the kernel's form`},
		{"pressure", "some total=1\nfull =1\n", ErrForm, `parse proc/pressure: line 2: "full =1": not of the kernel's form`},
		{"pressure", "some total=-1\n", ErrNumber, `parse proc/pressure: line 1: "some total=-1": not a number in range`},
		{"pressure", "some avg10=1.\n", ErrNumber, `parse proc/pressure: line 1: "some avg10=1.": not a number in range`},
		{"pressure", "some avg10=1=2\n", ErrNumber, `parse proc/pressure: line 1: "some avg10=1=2": not a number in range`},
	} {
		_, err := kinds()[c.kind].parse([]byte(c.text))
		var parse *ParseError
		if !errors.Is(err, c.cause) || !errors.As(err, &parse) {
			t.Errorf("%s: %q: error %v, want %v", c.kind, c.text, err, c.cause)
			continue
		}
		if parse.Error() != c.message {
			t.Errorf("%s: message\n%s, want\n%s", c.kind, parse, c.message)
		}
	}
}

func TestKindsAfterErrorAreEmptyAndUsable(t *testing.T) {
	for name, k := range kinds() {
		parse := k.warm()
		for file, text := range files(t, k.dir) {
			if _, err := parse(text); err != nil {
				t.Fatalf("%s: %s: %v", name, file, err)
			}
			value, err := parse(append(bytes.Clone(text), 'x'))
			if err == nil {
				t.Fatalf("%s: %s: no error", name, file)
			}
			if got := value.Append(nil); len(got) != 0 {
				t.Errorf("%s: %s: after an error: %q", name, file, got)
			}
			if value, err = parse(text); err != nil || !bytes.Equal(value.Append(nil), text) {
				t.Errorf("%s: %s: parsing again after an error: %v", name, file, err)
			}
		}
	}
}

func TestKindsAllocateNothingWarm(t *testing.T) {
	for name, k := range kinds() {
		parse := k.warm()
		for file, text := range files(t, k.dir) {
			var buf []byte
			round := func() {
				value, err := parse(text)
				if err != nil {
					t.Fatal(err)
				}
				buf = value.Append(buf[:0])
			}
			round()
			if n := testing.AllocsPerRun(100, round); n > 0 {
				t.Errorf("%s: %s: %v allocations per parse and append", name, file, n)
			}
		}
	}
}

func TestUptimeAppend(t *testing.T) {
	for _, c := range []struct {
		u    Uptime
		want string
	}{
		{Uptime{}, "0.00 0.00\n"},
		{Uptime{1, 99}, "0.01 0.99\n"},
		{Uptime{100, 12345}, "1.00 123.45\n"},
		{Uptime{1894016, math.MaxUint64}, "18940.16 184467440737095516.15\n"},
	} {
		if got := string(c.u.Append(nil)); got != c.want {
			t.Errorf("%+v became %q, want %q", c.u, got, c.want)
		}
	}
}

// The loads were computed by hand after LOAD_INT and LOAD_FRAC of avenrun + 10.
func TestLoadavgAppend(t *testing.T) {
	for _, c := range []struct {
		l    Loadavg
		want string
	}{
		{Loadavg{}, "0.00 0.00 0.00 0/0 0\n"},
		{Loadavg{Load: [3]uint64{10, 11, 2037}, Running: 1, Total: 97, LastPID: 14099}, "0.00 0.01 0.99 1/97 14099\n"},
		{Loadavg{Load: [3]uint64{2038, 2048, 2048 * 100}, Running: -1, Total: -1, LastPID: -1}, "1.00 1.00 100.00 0/0 0\n"},
		{Loadavg{Load: [3]uint64{1024, 3071, math.MaxUint64}, Running: math.MaxInt32}, "0.50 1.50 9007199254740991.99 2147483647/0 0\n"},
	} {
		if got := string(c.l.Append(nil)); got != c.want {
			t.Errorf("%+v became %q, want %q", c.l, got, c.want)
		}
	}
}
