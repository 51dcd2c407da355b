// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// encoded are histories from an empty one to one with everything in it.
func encoded(tb testing.TB) (all [][]byte) {
	tb.Helper()
	var h History
	add := func() {
		data, err := h.AppendBinary(nil)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, data)
	}
	add()
	h.Advance(nil, Sample{Now: start + sec, Start: start, Usage: v2(0, 0, level("/c", 20, 0)), Visible: set(tb, "0-1,1024")})
	add()
	usage := v1(3, 1, 9*sec, sec)
	usage.Chain.Levels = []limits.CPU{level("/pod/c", 20, 9*sec), level("/pod", 50, 0)}
	h.Advance(nil, Sample{Now: start + 2*sec, Start: start, Usage: usage, Visible: set(tb, "1,3")})
	usage.PerCPU[0] += 100 * sec
	usage.Total += 100 * sec
	h.Advance(nil, Sample{Now: start + 3*sec, Start: start, Usage: usage, Visible: set(tb, "1")})
	add()
	return all
}

func TestDecodeBadInput(t *testing.T) {
	good := encoded(t)[2]
	at := func(offset int, with ...byte) []byte {
		data := bytes.Clone(good)
		copy(data[offset:], with)
		return data
	}
	const columns, firstColumn, columnSize = 10, 14, 36
	huge := binary.LittleEndian.AppendUint32(nil, 1<<32-1)
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, errShort},
		{"another version", at(0, 2), ErrVersion},
		{"started is 2", at(1, 2), errFlag},
		{"before boot", at(9, 0x80), errNegative},
		{"columns past the end", at(columns, huge...), errShort},
		{"ids out of order", at(firstColumn+columnSize, 0, 0, 0, 0), errOrder},
		{"the same id twice", at(firstColumn+columnSize, good[firstColumn:firstColumn+4]...), errOrder},
		{"an id past the largest", at(firstColumn+3*columnSize, 0, 0, 1, 0), errOrder},
		{"a column longer than the machine runs", at(firstColumn+4+6, 1), errColumn},
		{"more user time than time", at(firstColumn+4*columnSize+8+6, 0x7f), errUser},
		{"something follows", append(bytes.Clone(good), 0), errTail},
	} {
		h := History{at: 7}
		err := h.UnmarshalBinary(c.data)
		var decode *DecodeError
		if !errors.Is(err, c.want) || !errors.As(err, &decode) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if h.at != 7 || h.columns != nil {
			t.Errorf("%s: a failure left %+v", c.name, h)
		}
	}
	for n := range good {
		var h History
		if err := h.UnmarshalBinary(good[:n]); err == nil {
			t.Errorf("%d of %d bytes decode", n, len(good))
		}
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, data := range encoded(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h History
		if h.UnmarshalBinary(data) != nil {
			return
		}
		if again, _ := h.AppendBinary(nil); !bytes.Equal(again, data) {
			t.Fatalf("%x is encoded as %x", data, again)
		}
		before := h.Advance(nil, Sample{})
		usage := v1(1, 1, sec, sec)
		usage.Chain.Levels = []limits.CPU{level("/c", 20, hour)}
		after := h.Advance(nil, Sample{Now: h.at + sec, Usage: usage, Visible: set(t, "0-1")})
		for i, j := 0, 0; i < len(before); j++ {
			if before[i].CPU != after[j].CPU {
				continue
			}
			if after[j].Total() < before[i].Total() {
				t.Fatalf("%+v became %+v", before[i], after[j])
			}
			i++
		}
	})
}
