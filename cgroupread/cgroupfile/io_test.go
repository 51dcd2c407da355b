// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

func TestParseIOStat(t *testing.T) {
	sda := limits.DeviceIO{Major: 8, ReadBytes: 1, WriteBytes: 2, ReadCount: 3, WriteCount: 4, DiscardBytes: 5, DiscardCount: 6}
	const counted = "rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6"
	for _, c := range []struct {
		name, text string
		want       []limits.DeviceIO
		line       int
	}{
		{name: "one", text: "8:0 " + counted + "\n", want: []limits.DeviceIO{sda}},
		{name: "other keys", text: "8:0 " + counted + " cost.usage=12 cost.vrate=100.00 use_delay=x\n", want: []limits.DeviceIO{sda}},
		{name: "no pairs", text: "8:16 \n8:0 " + counted + "\n", want: []limits.DeviceIO{{Major: 8, Minor: 16}, sda}},
		{name: "no pairs, no newline", text: "8:16 254:1 8:0 " + counted + "\n", want: []limits.DeviceIO{{Major: 8, Minor: 16}, {Major: 254, Minor: 1}, sda}},
		{name: "unknown", text: "(unknown) rbytes=9 wbytes=9\n8:0 " + counted + "\n", want: []limits.DeviceIO{sda}},
		{name: "unknown in a line", text: "8:16 (unknown) rbytes=9 8:0 " + counted + "\n", want: []limits.DeviceIO{{Major: 8, Minor: 16}, sda}},
		{name: "largest", text: "4294967295:0 rbytes=" + maxUint + "\n", want: []limits.DeviceIO{{Major: math.MaxUint32, ReadBytes: math.MaxUint64}}},
		{name: "cut off", text: "8:0 " + counted, want: []limits.DeviceIO{sda}},
		{name: "empty"},
		{name: "empty line", text: "\n8:0 " + counted + "\n", want: []limits.DeviceIO{sda}},
		{name: "no device", text: "8:0\nsda rbytes=1\n", line: 2},
		{name: "no minor", text: "8: rbytes=1\n", line: 1},
		{name: "large major", text: "4294967296:0 rbytes=1\n", line: 1},
		{name: "no number", text: "8:0 rbytes=\n", line: 1},
		{name: "negative", text: "8:0 rios=-1\n", line: 1},
		{name: "past 2^64", text: "8:0 rios=18446744073709551616\n", line: 1},
		{name: "two blanks", text: "8:0  rios=1\n", line: 1},
	} {
		got, err := ParseIOStat(nil, []byte(c.text))
		if line := errorLine(err); line != c.line {
			t.Errorf("%s: %v, want an error in line %d", c.name, err, c.line)
		} else if d := cmp.Diff(c.want, got); err == nil && d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}

func TestParseBlkio(t *testing.T) {
	const bytes = "8:0 Read 100\n8:0 Write 200\n8:0 Sync 250\n8:0 Async 50\n8:0 Discard 7\n8:0 Total 300\n(unknown) Read 9\n8:16 Read 5\nTotal 305\n"
	const counts = "254:0 Read 1\n8:0 Write 2\n8:0 Read 3\n8:0 Discard 4\nTotal 6\n"
	got, err := ParseBlkioBytes(nil, []byte(bytes))
	if err == nil {
		got, err = ParseBlkioCounts(got, []byte(counts))
	}
	want := []limits.DeviceIO{
		{Major: 8, ReadBytes: 100, WriteBytes: 200, DiscardBytes: 7, ReadCount: 3, WriteCount: 2, DiscardCount: 4},
		{Major: 8, Minor: 16, ReadBytes: 5},
		{Major: 254, ReadCount: 1},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	// What a cgroup without a device says.
	if got, err := ParseBlkioCounts(nil, []byte("Total 0\n")); err != nil || got != nil {
		t.Errorf("no device: %v, %v", got, err)
	}
	for text, line := range map[string]int{
		"8:0 Read\n": 1, "8:0 Read 1\n8:0\n": 2, "\n": 1, "8 Read 1\n": 1, "8:0 Read x\n": 1, "Total\n": 1, "Total x\n": 1,
		"8:0 Read 1 2\n": 1, "8:0 Write 18446744073709551616\n": 1, ":0 Read 1\n": 1,
	} {
		if got, err := ParseBlkioBytes(nil, []byte(text)); errorLine(err) != line {
			t.Errorf("%q: %v, %v, want an error in line %d", text, got, err, line)
		}
	}
}
