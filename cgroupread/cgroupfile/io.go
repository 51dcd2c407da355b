// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"math"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// unknownDevice is what the kernel writes for a device without a number, such as
// one path of a multipath NVMe disk or a ZFS pool's. There is no row in
// /proc/diskstats that its I/O could be shown in, so it is passed over.
const unknownDevice = "(unknown)"

// ParseIOStat reads v2's io.stat, "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5
// dios=6", and appends its devices. A device can have other pairs (cost.usage)
// or, if nothing was counted, none. Linux 5.15 and 5.16 leave out the newline
// then, so several devices can stand on a line, each before its own pairs
// (252c651a4c85, "blk-cgroup: stop using seq_get_buf").
func ParseIOStat(dst []limits.DeviceIO, text []byte) ([]limits.DeviceIO, error) {
	err := eachLine(text, func(number int, line []byte) error {
		var device, unknown limits.DeviceIO
		at := &unknown // whose the next pair is
		for rest := bytes.TrimSpace(line); len(rest) > 0; {
			var field []byte
			field, rest, _ = bytes.Cut(rest, []byte(" "))
			key, value, pair := bytes.Cut(field, []byte("="))
			if !pair {
				if string(field) == unknownDevice {
					at = &unknown
					continue
				}
				var ok bool
				if device, ok = parseDevice(field); !ok {
					return lineError(number, line, errNotDevice)
				}
				dst = append(dst, device)
				at = &dst[len(dst)-1]
				continue
			}
			counter := ioCounter(at, key)
			if counter == nil {
				continue
			}
			n, err := parseUint(value)
			if err != nil {
				return lineError(number, line, err)
			}
			*counter = n
		}
		return nil
	})
	return dst, err
}

// ioCounter is where the value of a key of io.stat belongs, nil for another key.
func ioCounter(device *limits.DeviceIO, key []byte) *uint64 {
	switch string(key) {
	case "rbytes":
		return &device.ReadBytes
	case "wbytes":
		return &device.WriteBytes
	case "dbytes":
		return &device.DiscardBytes
	case "rios":
		return &device.ReadCount
	case "wios":
		return &device.WriteCount
	case "dios":
		return &device.DiscardCount
	}
	return nil
}

// ParseBlkioBytes reads v1's blkio.throttle.io_service_bytes[_recursive], "8:0
// Read 1", into the devices of dst, and appends those that it doesn't have yet.
func ParseBlkioBytes(dst []limits.DeviceIO, text []byte) ([]limits.DeviceIO, error) {
	return blkio(dst, text, func(device *limits.DeviceIO, operation []byte) *uint64 {
		switch string(operation) {
		case "Read":
			return &device.ReadBytes
		case "Write":
			return &device.WriteBytes
		case "Discard":
			return &device.DiscardBytes
		}
		return nil
	})
}

// ParseBlkioCounts does the same with v1's
// blkio.throttle.io_serviced[_recursive].
func ParseBlkioCounts(dst []limits.DeviceIO, text []byte) ([]limits.DeviceIO, error) {
	return blkio(dst, text, func(device *limits.DeviceIO, operation []byte) *uint64 {
		switch string(operation) {
		case "Read":
			return &device.ReadCount
		case "Write":
			return &device.WriteCount
		case "Discard":
			return &device.DiscardCount
		}
		return nil
	})
}

// blkio reads lines "8:0 Read 1"; the last one, "Total 1", sums up the file.
// counter is where an operation's number belongs, nil for Sync, Async and Total,
// which say the same once more.
func blkio(
	dst []limits.DeviceIO, text []byte, counter func(device *limits.DeviceIO, operation []byte) *uint64,
) ([]limits.DeviceIO, error) {
	err := eachLine(text, func(number int, line []byte) error {
		name, rest, _ := bytes.Cut(line, []byte(" "))
		operation, value, ok := bytes.Cut(rest, []byte(" "))
		if string(name) == "Total" {
			value, ok = rest, true
		}
		if !ok {
			return lineError(number, line, errNotDevice)
		}
		n, err := parseUint(value)
		if err != nil {
			return lineError(number, line, err)
		}
		if string(name) == "Total" || string(name) == unknownDevice {
			return nil
		}
		device, ok := parseDevice(name)
		if !ok {
			return lineError(number, line, errNotDevice)
		}
		at := 0
		for at < len(dst) && (dst[at].Major != device.Major || dst[at].Minor != device.Minor) {
			at++
		}
		if at == len(dst) {
			dst = append(dst, device)
		}
		if c := counter(&dst[at], operation); c != nil {
			*c = n
		}
		return nil
	})
	return dst, err
}

// parseDevice reads "8:16".
func parseDevice(text []byte) (limits.DeviceIO, bool) {
	major, minor, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		return limits.DeviceIO{}, false
	}
	a, errMajor := parseUint(major)
	b, errMinor := parseUint(minor)
	if errMajor != nil || errMinor != nil || a > math.MaxUint32 || b > math.MaxUint32 {
		return limits.DeviceIO{}, false
	}
	return limits.DeviceIO{Major: uint32(a), Minor: uint32(b)}, true
}
