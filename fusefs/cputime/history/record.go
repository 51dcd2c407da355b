// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
)

const (
	magic  = "cpuhist1"
	header = len(magic) + 4 + 4
	// stride is from one place to the next: more than any record has. One with
	// 65536 CPUs takes 3 MiB.
	stride = 16 << 20
)

var (
	errMagic    = errors.New("no history, or another version's")
	errLength   = errors.New("impossible length")
	errChecksum = errors.New("wrong checksum: torn or changed")
	errShort    = errors.New("cut short")
	errKey      = errors.New("another container's")
)

// record is what one place of a file holds.
type record struct {
	sequence uint64
	key      Key
	history  []byte // encoded
}

// appendRecord appends the record of a history to dst.
func appendRecord(dst []byte, sequence uint64, k Key, h *cputime.History) ([]byte, error) {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, make([]byte, 8)...)
	dst = binary.LittleEndian.AppendUint64(dst, sequence)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(k.Start))
	dst = binary.LittleEndian.AppendUint64(dst, k.Inode)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(k.ID)))
	dst = append(dst, k.ID...)
	dst, err := h.AppendBinary(dst)
	if err != nil {
		return dst[:start], err
	}
	if len(dst)-start > stride {
		return dst[:start], fmt.Errorf("%w: %d bytes, there is room for %d", errLength, len(dst)-start, stride)
	}
	body := dst[start+header:]
	binary.LittleEndian.PutUint32(dst[start+len(magic):], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[start+len(magic)+4:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return dst, nil
}

// readRecord reads the record at an offset of a file. io.EOF says that nothing
// was ever written there.
func readRecord(file io.ReaderAt, offset int64) (record, error) {
	var head [header]byte
	switch n, err := file.ReadAt(head[:], offset); {
	case n == 0 && errors.Is(err, io.EOF):
		return record{}, io.EOF
	case n < header && errors.Is(err, io.EOF):
		return record{}, errShort
	case n < header:
		return record{}, err
	}
	if head == [header]byte{} {
		return record{}, io.EOF // the hole before the second place
	}
	if string(head[:len(magic)]) != magic {
		return record{}, errMagic
	}
	length := binary.LittleEndian.Uint32(head[len(magic):])
	if length > stride-uint32(header) {
		return record{}, errLength
	}
	body, err := io.ReadAll(io.NewSectionReader(file, offset+int64(header), int64(length)))
	if err != nil {
		return record{}, err
	}
	if len(body) < int(length) {
		return record{}, errShort
	}
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(head[len(magic)+4:]) {
		return record{}, errChecksum
	}
	return parseBody(body)
}

func parseBody(body []byte) (r record, err error) {
	const fixed = 3*8 + 4
	if len(body) < fixed {
		return record{}, errShort
	}
	r.sequence = binary.LittleEndian.Uint64(body)
	r.key.Start = time.Duration(binary.LittleEndian.Uint64(body[8:]))
	r.key.Inode = binary.LittleEndian.Uint64(body[16:])
	id := int64(binary.LittleEndian.Uint32(body[24:]))
	body = body[fixed:]
	if id > int64(len(body)) {
		return record{}, errShort
	}
	r.key.ID = string(body[:id])
	r.history = body[id:]
	return r, nil
}

// readFile gives the newer of a file's two records. io.EOF says that neither was
// ever written.
func readFile(file io.ReaderAt) (newest record, err error) {
	found := false
	err = io.EOF
	for _, offset := range [...]int64{0, stride} {
		r, readErr := readRecord(file, offset)
		switch {
		case readErr != nil:
			if errors.Is(err, io.EOF) {
				err = readErr
			}
		case !found || r.sequence > newest.sequence:
			newest, found = r, true
		}
	}
	if found {
		return newest, nil
	}
	return record{}, err
}
