// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
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

// Every file of keys: none has a number that another parser sees otherwise.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("usage_usec 1\nuser_usec 2\n"))
	f.Add([]byte("nr_throttled 3\nthrottled_time 3\n"))
	f.Add([]byte("user 0\nsystem 19\n"))
	f.Add([]byte("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"))
	f.Add([]byte("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		counters, err := ParseCounters(nil, text, "")
		stat, errStat := ParseCPUStat(text)
		user, system, errTicks := ParseCPUAcctStat(text)
		kills, _, errKills := ParseOOMKill(text)
		for _, other := range []error{errStat, errTicks, errKills} {
			if (err == nil) != (other == nil) {
				t.Fatalf("%q: %v, %v", text, err, other)
			}
		}
		if err != nil {
			wantParseError(t, err)
			return
		}
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		if len(text) > 0 && len(counters) != len(lines) {
			t.Fatalf("%q: %d counters", text, len(counters))
		}
		if min(stat.Usage, stat.User, stat.System, stat.Throttled, user, system) < 0 {
			t.Fatalf("%q: %+v, %v, %v", text, stat, user, system)
		}
		last := uint64(0)
		for _, c := range counters {
			if c.Name == "oom_kill" {
				last = c.Value
			}
		}
		if kills != last {
			t.Fatalf("%q: %d kills", text, kills)
		}
		again, err := ParseCounters(counters[:0], text, "")
		if err != nil || len(again) != len(counters) {
			t.Fatalf("%q: again %v, %v", text, again, err)
		}
	})
}

func FuzzParseUsagePerCPU(f *testing.F) {
	f.Add([]byte("3485232 196469601 \n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		times, err := ParseUsagePerCPU(nil, text)
		if err != nil {
			wantParseError(t, err)
			return
		}
		if len(times) != len(bytes.Fields(text)) || len(times) > 0 && slices.Min(times) < 0 {
			t.Fatalf("%q: %v", text, times)
		}
	})
}

// v1 and v2: each device is one of the text's, and v1's are there once.
func FuzzParseIO(f *testing.F) {
	f.Add([]byte("254:16 rbytes=2048 wbytes=8388608 rios=2 wios=8 dbytes=0 dios=0\n"))
	f.Add([]byte("8:16 (unknown) rbytes=9 8:0 rbytes=1 cost.usage=2\n"))
	f.Add([]byte("254:0 Read 122880\n254:0 Write 0\n254:0 Sync 122880\n254:0 Async 0\n254:0 Discard 0\n254:0 Total 122880\nTotal 122880\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]limits.DeviceIO, []byte) ([]limits.DeviceIO, error){ParseIOStat, ParseBlkioBytes, ParseBlkioCounts} {
			devices, err := parse(nil, text)
			if err != nil {
				wantParseError(t, err)
				continue
			}
			if len(devices) > bytes.Count(text, []byte(":")) {
				t.Fatalf("%q: %d devices", text, len(devices))
			}
		}
		devices, err := ParseBlkioBytes(nil, text)
		if err != nil {
			return
		}
		seen := map[[2]uint32]bool{}
		for _, d := range devices {
			if at := [2]uint32{d.Major, d.Minor}; seen[at] {
				t.Fatalf("%q: %v twice", text, at)
			} else {
				seen[at] = true
			}
		}
	})
}

// A node is there once, and only if the text names it.
func FuzzParseNumaStat(f *testing.F) {
	f.Add([]byte("anon N0=0 N1=53248\nfile N0=0 N1=12591104\n"))
	f.Add([]byte("total=3128 N0=3128\nhierarchical_total=3128 N0=3128\nhierarchical_file=2078 N0=2078\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func() ([]limits.NodeMemory, error){
			func() ([]limits.NodeMemory, error) { return ParseNumaStat(nil, text) },
			func() ([]limits.NodeMemory, error) { return ParseNumaStatV1(nil, text, 4096) },
		} {
			nodes, err := parse()
			if err != nil {
				wantParseError(t, err)
				continue
			}
			seen := map[int]bool{}
			for _, n := range nodes {
				if n.Node < 0 || seen[n.Node] {
					t.Fatalf("%q: node %d", text, n.Node)
				}
				seen[n.Node] = true
			}
		}
	})
}

func FuzzParseTIDs(f *testing.F) {
	f.Add([]byte("1000\n1001\n0\n"), 2)
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		tids, complete, err := ParseTIDs(nil, text, most)
		if err != nil {
			wantParseError(t, err)
			return
		}
		if len(tids) > max(most, 0) || len(tids) > 0 && slices.Min(tids) < 1 {
			t.Fatalf("%q, most %d: %v", text, most, tids)
		}
		if all, _, err := ParseTIDs(nil, text, math.MaxInt); err == nil && complete != (len(all) == len(tids)) {
			t.Fatalf("%q, most %d: %v, complete %v, of %v", text, most, tids, complete, all)
		}
	})
}

func FuzzHugePagesIn(f *testing.F) {
	f.Add("hugetlb.2MB.max\nhugetlb.1GB.limit_in_bytes")
	f.Fuzz(func(t *testing.T, names string) {
		sizes := HugePagesIn(strings.Split(names, "\n"))
		if !slices.IsSortedFunc(sizes, func(a, b HugePages) int { return cmp.Compare(a.Bytes, b.Bytes) }) {
			t.Fatalf("%q: %v", names, sizes)
		}
		for _, s := range sizes {
			if s.Bytes < 1<<10 || !strings.Contains(names, s.Max) {
				t.Fatalf("%q: %+v", names, s)
			}
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

// errorLine is the line that a ParseError names, 0 if err is nil, −1 if it is
// something else.
func errorLine(err error) int {
	if err == nil {
		return 0
	}
	var pe *ParseError
	if !errors.As(err, &pe) || pe.Err == nil {
		return -1
	}
	return pe.Line
}
