// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// An area that is added looks as the kernel wrote it.
func TestSwapsColumnsAreTheKernels(t *testing.T) {
	texts := own(t, "swaps", "/proc/swaps")
	for _, name := range fixture.Names(t) {
		texts[name] = []byte(fixture.Load(t, name).Read("proc/swaps"))
	}
	for name, text := range texts {
		s, err := ParseSwaps(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var c Swaps
		c.CopyHeadings(s)
		for _, line := range strings.Split(string(text), "\n")[1:] {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			area := SwapArea{Name: fields[0], Type: fields[1]}
			for i, to := range []*uint64{&area.Size, &area.Used} {
				n, err := strconv.ParseUint(fields[2+i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				*to = n*kB + 1023 // less than a kB is none
			}
			if area.Priority, err = strconv.Atoi(fields[4]); err != nil {
				t.Fatal(err)
			}
			c.Add(area)
		}
		if got := c.Append(nil); !bytes.Equal(got, text) {
			t.Errorf("%s: written anew it is\n%s", name, got)
		}
		if c.Areas() != s.Areas() {
			t.Errorf("%s: %d areas became %d", name, s.Areas(), c.Areas())
		}
	}
}

func TestPressureZero(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{
			"some avg10=0.00 avg60=0.50 avg300=13.00 total=3775966947\nfull avg10=100.00 avg60=0.00 avg300=0.00 total=0\n",
			"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		},
		{"full avg10=99.99 avg60=0.50 avg300=3.00 total=7\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
		{"some avg10=9.125 stalls5=1234 x.5=6\n", "some avg10=0.000 stalls5=0 x.5=0\n"}, // a kernel to come
	} {
		p, err := ParsePressure([]byte(c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var zero, same Pressure
		zero.CopyZero(p)
		if got := string(zero.Append(nil)); got != c.want {
			t.Errorf("zeros of %q are %q, want %q", c.text, got, c.want)
		}
		same.CopyFrom(p)
		if got := string(same.Append(nil)); got != c.text {
			t.Errorf("a copy of %q is %q", c.text, got)
		}
	}
}

func TestSlabinfoCaches(t *testing.T) {
	texts := files(t, "slabinfo")
	host, err := ParseSlabinfo(texts["debian12-linux6.18-head.txt"])
	if err != nil {
		t.Fatal(err)
	}
	memcg, err := ParseSlabinfo(texts["synthetic-memcg-v1.txt"])
	if err != nil {
		t.Fatal(err)
	}
	var s Slabinfo
	s.CopyHeader(host)
	lines := strings.SplitAfter(string(texts["debian12-linux6.18-head.txt"]), "\n")
	if got, want := string(s.Append(nil)), lines[0]+lines[1]; got != want || s.Caches() != 0 {
		t.Errorf("the header is %q, want %q", got, want)
	}
	if host.Caches() != 10 || memcg.Caches() != 2 {
		t.Errorf("%d and %d caches", host.Caches(), memcg.Caches())
	}
	s.AddCaches(memcg)
	if got := s.Append(nil); !bytes.Equal(got, texts["synthetic-memcg-v1.txt"]) {
		t.Errorf("with the cgroup's caches it is %q", got)
	}
}
