// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
)

// version is that of the encoding. It changes with the encoding's shape and with
// the meaning of what is in it.
const version = 1

// hiddenBit marks the id of a column that is hidden.
const hiddenBit = 1 << 31

// DecodeError says why bytes are no history.
type DecodeError struct {
	Offset int // where, in bytes
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode CPU history: byte %d: %v", e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// ErrVersion says that a history was encoded by another version of the program.
var ErrVersion = errors.New("another version's encoding")

var (
	errShort    = errors.New("cut short")
	errTail     = errors.New("something follows the end")
	errFlag     = errors.New("neither 0 nor 1")
	errNegative = errors.New("a negative time")
	errOrder    = errors.New("CPU ids out of order or out of range")
	errColumn   = errors.New("a column is longer than the time since boot")
	errUser     = errors.New("more user time than time")
)

// AppendBinary appends the history to dst; it never fails. Numbers are little
// endian, times are nanoseconds in 64 bits, n stands for a 32-bit count before
// what is counted:
//
//	version 8 bits, started 8 bits, at
//	n × (CPU id 32 bits, its top bit set if hidden; user, system, idle, steal)
//	total, user, n × time of a CPU          what the counters said
//	owed user, owed system
//	refused and owed, credit, saturated 8 bits, wall, used and refused of a window
//	n × (n × byte of the path, refused)     the levels with a quota
func (h *History) AppendBinary(dst []byte) ([]byte, error) {
	dst = appendFlag(append(dst, version), h.started)
	dst = appendTimes(dst, h.at)
	dst = appendCount(dst, len(h.columns))
	for i := range h.columns {
		c := &h.columns[i]
		id := uint32(c.CPU)
		if !c.Visible {
			id |= hiddenBit
		}
		dst = binary.LittleEndian.AppendUint32(dst, id)
		dst = appendTimes(dst, c.User, c.System, c.Idle, c.Steal)
	}
	dst = appendTimes(dst, h.counted.total, h.counted.user)
	dst = appendCount(dst, len(h.counted.perCPU))
	dst = appendTimes(dst, h.counted.perCPU...)
	dst = appendTimes(dst, h.owed.user, h.owed.system, h.refused.owed, h.refused.credit)
	dst = appendFlag(dst, h.refused.saturated)
	dst = appendTimes(dst, h.refused.recent.wall, h.refused.recent.used, h.refused.recent.refused)
	dst = appendCount(dst, len(h.refused.quotas))
	for i := range h.refused.quotas {
		q := &h.refused.quotas[i]
		dst = appendCount(dst, len(q.path))
		dst = append(dst, q.path...)
		dst = appendTimes(dst, q.throttled)
	}
	return dst, nil
}

func appendFlag(dst []byte, flag bool) []byte {
	if flag {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendTimes(dst []byte, times ...time.Duration) []byte {
	for _, t := range times {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(t))
	}
	return dst
}

func appendCount(dst []byte, n int) []byte { return binary.LittleEndian.AppendUint32(dst, uint32(n)) }

// UnmarshalBinary makes h what [History.AppendBinary] wrote; nothing of data is
// kept. A failure is a [*DecodeError] and leaves h as it was. Whether the bytes
// are those that were written is for a checksum to say; what passes here can be
// advanced without a panic.
func (h *History) UnmarshalBinary(data []byte) error {
	d := decoder{data: data}
	if v := d.byte(); d.err == nil && v != version {
		d.fail(ErrVersion)
	}
	var n History
	n.started = d.flag()
	n.at = d.time()
	n.columns = make([]Column, d.count(4+4*8))
	var ids []int
	for i := range n.columns {
		c := d.column(n.at)
		if i > 0 && c.CPU <= n.columns[i-1].CPU {
			d.fail(errOrder)
		}
		if c.Visible && d.err == nil {
			ids = append(ids, c.CPU)
		}
		n.columns[i] = c
	}
	n.visible = cpulist.Of(ids...)
	n.counted = counters{total: d.time(), user: d.time()}
	if n.counted.user > n.counted.total {
		d.fail(errUser)
	}
	n.counted.perCPU = make([]time.Duration, d.count(8))
	for i := range n.counted.perCPU {
		n.counted.perCPU[i] = d.time()
	}
	n.owed = busy{d.time(), d.time()}
	n.refused = refusals{owed: d.time(), credit: d.time(), saturated: d.flag()}
	n.refused.recent = window{d.time(), d.time(), d.time()}
	n.refused.quotas = make([]quota, d.count(4+8))
	for i := range n.refused.quotas {
		n.refused.quotas[i] = quota{string(d.bytes(d.count(1))), d.time()}
	}
	if d.at < len(d.data) {
		d.fail(errTail)
	}
	if d.err != nil {
		return d.err
	}
	*h = n
	return nil
}

// decoder reads data from at on. After a failure everything reads as 0.
type decoder struct {
	data []byte
	at   int
	err  error // a *DecodeError
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = &DecodeError{Offset: d.at, Err: err}
	}
}

// bytes are the next n, nil where there aren't that many.
func (d *decoder) bytes(n int) []byte {
	if d.err == nil && n > len(d.data)-d.at {
		d.fail(errShort)
	}
	if d.err != nil {
		return nil
	}
	d.at += n
	return d.data[d.at-n : d.at]
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) flag() bool {
	b := d.byte()
	if b > 1 {
		d.fail(errFlag)
	}
	return b == 1
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) time() time.Duration {
	b := d.bytes(8)
	if b == nil {
		return 0
	}
	t := time.Duration(binary.LittleEndian.Uint64(b))
	if t < 0 {
		d.fail(errNegative)
		return 0
	}
	return t
}

// count is the number of things that follow, none of them smaller than size
// bytes: what is made for them is bounded by the data.
func (d *decoder) count(size int) int {
	n := int64(d.uint32())
	if n > int64((len(d.data)-d.at)/size) {
		d.fail(errShort)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) column(since time.Duration) Column {
	id := d.uint32()
	c := Column{
		CPU: int(id &^ hiddenBit), Visible: id&hiddenBit == 0,
		User: d.time(), System: d.time(), Idle: d.time(), Steal: d.time(),
	}
	if c.CPU > cpulist.MaxID {
		d.fail(errOrder)
	}
	total := addSaturated(addSaturated(c.User, c.System), addSaturated(c.Idle, c.Steal))
	if total > since || total == math.MaxInt64 {
		d.fail(errColumn)
	}
	return c
}
