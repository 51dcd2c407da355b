// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

func TestDiskstats(t *testing.T) {
	host := func(text string) *procfile.Diskstats {
		d, err := procfile.ParseDiskstats([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const hosts = "   8       0 sda 1024 12 204800 3310 77 5 616 92 0 900 3402 9 0 72 1 4 3\n" +
		"   8       1 sda1 1000 12 204000 3300 77 5 616 92 0 890 3392 9 0 72 1 0 0\n" +
		"   9       0 md_my disk 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n" +
		" 259       0 nvme0n1 88 0 704 12 0 0 0 0 0 12 12 0 0 0 0 0 0\n"
	const old = "   8       0 sda 1024 12 204800 3310 77 5 616 92 0 900 3402\n"
	read := limits.DeviceIO{Major: 8, ReadBytes: 64 * miB, ReadCount: 512}
	all := limits.DeviceIO{
		Major: 259, ReadBytes: 1023, ReadCount: 2, WriteBytes: 4096, WriteCount: 1, DiscardBytes: 512 * 7, DiscardCount: 3,
	}
	for _, c := range []struct {
		name, host string
		devices    []limits.DeviceIO
		want       string
	}{
		{"no I/O", hosts, nil, ""},
		{"a device that was only looked at", hosts, []limits.DeviceIO{{Major: 8}}, ""},
		{"a device that is gone", hosts, []limits.DeviceIO{{Major: 8, Minor: 16, ReadCount: 1}}, ""},
		{"a host without disks", "", []limits.DeviceIO{read}, ""},
		{"a name nobody expects", hosts, []limits.DeviceIO{{Major: 9, ReadCount: 1}}, ""},
		{"in the host's order", hosts, []limits.DeviceIO{all, {Major: 7}, read}, //
			"   8       0 sda 512 0 131072 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" +
				" 259       0 nvme0n1 2 0 1 0 1 0 8 0 0 0 0 3 0 7 0 0 0\n"},
		{"an older kernel", old, []limits.DeviceIO{{Major: 8, DiscardCount: 1, WriteCount: math.MaxUint64, WriteBytes: math.MaxUint64}}, //
			"   8       0 sda 0 0 0 0 18446744073709551615 0 36028797018963967 0 0 0 0\n"},
		{"a request without bytes", old, []limits.DeviceIO{{Major: 8, WriteCount: 2}}, "   8       0 sda 0 0 0 0 2 0 0 0 0 0 0\n"},
	} {
		var dst procfile.Diskstats
		for range 2 { // the second time into a used value
			DiskstatsInto(&dst, host(c.host), c.devices)
			if got := string(dst.Append(nil)); got != c.want {
				t.Errorf("%s: got\n%swant\n%s", c.name, got, c.want)
			}
		}
	}
}

func BenchmarkDiskstats(b *testing.B) {
	host, err := procfile.ParseDiskstats(hostText(b, "diskstats/synthetic-4.19.txt"))
	if err != nil {
		b.Fatal(err)
	}
	devices := []limits.DeviceIO{{Major: 259, Minor: 3, ReadCount: 1, ReadBytes: 1 << 40}, {Major: 8, ReadCount: 1, ReadBytes: 1 << 40}}
	var dst procfile.Diskstats
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		DiskstatsInto(&dst, host, devices)
		buf = dst.Append(buf[:0])
	}
	if n := testing.AllocsPerRun(100, func() { DiskstatsInto(&dst, host, devices); buf = dst.Append(buf[:0]) }); n != 0 {
		b.Errorf("%v allocations per view", n)
	}
}
