// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"fmt"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
)

// Pressure appends to dst the text of the container's own cpu.pressure,
// memory.pressure, io.pressure or irq.pressure, as it stands. ok is false where
// there is none: no cgroup2, none of the container's own in it, a kernel that
// doesn't measure it, or turned off for the cgroup (cgroup.pressure).
func (r Reader) Pressure(dst []byte, kind string) (text []byte, ok bool, err error) {
	var name string // a constant: a Record keeps it
	switch kind {
	case "cpu":
		name = "cpu.pressure"
	case "memory":
		name = "memory.pressure"
	case "io":
		name = "io.pressure"
	case "irq":
		name = "irq.pressure"
	default:
		return dst, false, fmt.Errorf("cgroup pressure: %q: %w", kind, errNotKind)
	}
	return r.copyText(dst, r.c.unified, name, (*branch.Pass).Text)
}

// Slabinfo appends to dst the text of the container's memory.kmem.slabinfo. Only
// v1 has the file, and from Linux 5.9 on it is empty: ok is false then.
func (r Reader) Slabinfo(dst []byte) (text []byte, ok bool, err error) {
	b := r.c.memory
	if b == nil || b.Unified() {
		return dst, false, nil
	}
	return r.copyText(dst, b, "memory.kmem.slabinfo", (*branch.Pass).Long)
}

// copyText appends the text of level 0's file, if it has any.
func (r Reader) copyText(
	dst []byte, b *branch.Branch, name string, read func(*branch.Pass, *branch.Level, string) []byte,
) (text []byte, ok bool, err error) {
	if b == nil || b.Levels() == 0 {
		return dst, false, nil
	}
	start := len(dst)
	err = r.read(b, func(p *branch.Pass) {
		dst = append(dst, read(p, b.Level(0), name)...)
	})
	return dst, len(dst) > start, err
}
