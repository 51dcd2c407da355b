// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// appender is what has a text of its own.
type appender interface{ Append([]byte) []byte }

// Every document is read, parsed, shared for 10 ms and recorded, and gives the
// host's text again.
func TestDocuments(t *testing.T) {
	for _, name := range fixture.Names(t) {
		host := fixture.Load(t, name)
		const pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=4\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n"
		const slabinfo = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
		host.Write("proc/pressure/io", pressure)
		host.Write("proc/slabinfo", slabinfo)
		now := time.Unix(1000, 0)
		files, err := Open(host.Proc, host.Sys, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			path string
			read func(r Reader) (any, error)
		}{
			{"proc/stat", func(r Reader) (any, error) { return r.Stat() }},
			{"proc/diskstats", func(r Reader) (any, error) { return r.Diskstats() }},
			{"proc/swaps", func(r Reader) (any, error) { return r.Swaps() }},
			{"proc/vmstat", func(r Reader) (any, error) { return r.Vmstat() }},
			{"proc/slabinfo", func(r Reader) (any, error) { return r.Slabinfo() }},
			{"proc/pressure/io", func(r Reader) (any, error) { return r.Pressure("io") }},
			{Possible, func(r Reader) (any, error) { return r.List(Possible) }},
			{NodeOnline, func(r Reader) (any, error) { return r.List(NodeOnline) }},
			{NodeHasCPU, func(r Reader) (any, error) { return r.List(NodeHasCPU) }},
			{"sys/devices/system/node/node0/meminfo", func(r Reader) (any, error) { return r.NodeMeminfo(0) }},
			{"sys/devices/system/node/node0/numastat", func(r Reader) (any, error) { return r.NodeNumastat(0) }},
			{"sys/devices/system/node/node0/cpulist", func(r Reader) (any, error) { return r.NodeCPUs(0) }},
			{"sys/devices/system/node/node0/cpumap", func(r Reader) (any, error) { return r.NodeCPUMap(0) }},
			{"sys/devices/system/node/node0/distance", func(r Reader) (any, error) { return r.NodeDistance(0) }},
		} {
			var record Record
			first, err := test.read(files.Reader(&record))
			if err != nil {
				t.Errorf("%s: %s: %v", name, test.path, err)
				continue
			}
			text := host.Read(test.path)
			switch first := first.(type) {
			case appender:
				want := text
				if test.path == "proc/stat" {
					want = regexp.MustCompile(`(?m)^cpu\d.*\n`).ReplaceAllString(want, "")
				}
				if got := string(first.Append(nil)); strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("%s: %s is %q", name, test.path, got)
				}
			case []byte:
				if string(first) != text {
					t.Errorf("%s: %s is %q", name, test.path, first)
				}
			}
			recorded := 0
			record.Each(func(path string, got []byte) {
				recorded++
				if path != host.Path(test.path) || string(got) != text {
					t.Errorf("%s: %s is recorded as %s: %q", name, test.path, path, got)
				}
			})
			if recorded != 1 || record.Size() != len(text) {
				t.Errorf("%s: %s: %d files of %d bytes are recorded", name, test.path, recorded, record.Size())
			}
			record.Reset()
			if record.Size() != 0 {
				t.Errorf("%d bytes are left of a record", record.Size())
			}
			host.Write(test.path, "")
			now = now.Add(maxAge)
			if _, err := test.read(files.Reader(nil)); err != nil {
				t.Errorf("%s: %s was read again within 10 ms: %v", name, test.path, err)
			}
			now = now.Add(1)
			if _, err := test.read(files.Reader(nil)); err == nil && !slices.Contains([]string{
				"proc/diskstats", Possible, NodeOnline, NodeHasCPU,
				"sys/devices/system/node/node0/cpulist", "sys/devices/system/node/node0/cpumap", "sys/devices/system/node/node0/distance",
			}, test.path) { // of which some may be empty
				t.Errorf("%s: %s is empty, and that is no error", name, test.path)
			}
		}
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The host's own text, as it is now, of every file that is known.
func TestAppend(t *testing.T) {
	host, files, _ := open(t)
	for _, path := range files.Known() {
		text, err := files.Reader(nil).Append([]byte("before "), path, false)
		if _, missing := os.Stat(host.Path(path)); missing != nil {
			if !errors.Is(err, ErrUnreadable) || !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s, which isn't there: %q, %v", path, text, err)
			}
			continue
		}
		if err != nil || string(text) != "before "+host.Read(path) {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	for _, path := range []string{"", "proc/secrets", "../proc/stat", "/proc/stat"} {
		if text, err := files.Reader(nil).Append(nil, path, false); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%q: %q, %v", path, text, err)
		}
	}
}

func TestUnknown(t *testing.T) {
	_, files, _ := open(t)
	r := files.Reader(nil)
	for name, err := range map[string]error{
		"pressure": second(r.Pressure("disk")), "list": second(r.List("sys/devices/system/cpu/secret")),
		"node −1": second(r.NodeMeminfo(-1)), "node 1024": second(r.NodeNumastat(1024)), "node 77": second(r.NodeCPUs(77)),
		"cpumap of node 5000": second(r.NodeCPUMap(5000)), "distance of node −9": second(r.NodeDistance(-9)),
	} {
		if !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestBootClock(t *testing.T) {
	first := BootClock()
	if second := BootClock(); first <= 0 || second < first {
		t.Errorf("the boot clock says %v, then %v", first, second)
	}
}
