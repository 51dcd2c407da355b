// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// IO reads what the container's cgroup and its descendants did on each block
// device, devices without any I/O included, and appends it to dst.
//
// counted says that the kernel counts here at all: io.stat is there, or v1's
// files list a device. v1's counters belong to throttling, and newer kernels
// keep them only for devices that some throttle rule names; an older kernel
// without a device in them had no I/O to count.
func (r Reader) IO(dst []limits.DeviceIO) (devices []limits.DeviceIO, counted bool, err error) {
	b := r.c.io
	if b == nil || b.Levels() == 0 {
		return dst, false, nil
	}
	l := b.Level(0)
	devices = dst[len(dst):] // v1's two files meet in what this read found
	err = r.read(b, func(p *branch.Pass) {
		if !b.Unified() {
			devices = blkio(p, devices, l)
			counted = len(devices) > 0
			return
		}
		text := p.Text(l, "io.stat")
		if text == nil {
			return
		}
		counted = true
		var err error
		devices, err = cgroupfile.ParseIOStat(devices, text)
		p.Fail(l, "io.stat", err)
	})
	if err != nil {
		return dst, false, err
	}
	return append(dst, devices...), counted, nil
}

func blkio(p *branch.Pass, devices []limits.DeviceIO, l *branch.Level) []limits.DeviceIO {
	const throttle, recursive = "blkio.throttle.", "_recursive"
	for _, file := range []struct {
		name, nameAlone string
		parse           func([]limits.DeviceIO, []byte) ([]limits.DeviceIO, error)
	}{
		{throttle + "io_service_bytes" + recursive, throttle + "io_service_bytes", cgroupfile.ParseBlkioBytes},
		{throttle + "io_serviced" + recursive, throttle + "io_serviced", cgroupfile.ParseBlkioCounts},
	} {
		name := file.name
		text := p.Text(l, name)
		if text == nil {
			// Older kernels count for the cgroup alone.
			name = file.nameAlone
			text = p.Text(l, name)
		}
		if text != nil {
			var err error
			devices, err = file.parse(devices, text)
			p.Fail(l, name, err)
		}
	}
	return devices
}
