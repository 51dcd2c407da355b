// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
)

// A write of several pages that SIGKILL cuts short leaves the record before it.
func TestTornRecord(t *testing.T) {
	for _, cut := range []int64{0, 1, 7, 16, 100, 4096, 8191} {
		dir := t.TempDir()
		store := quiet(t, dir)
		e := store.Entry(web())
		advance(t, e, at(10*s, 500))
		old := advance(t, e, at(11*s, 500))
		f, err := os.OpenFile(file(store, web()), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		// Record 3 goes where record 1 is; its first bytes are written.
		next, err := appendRecord(nil, 3, web(), &e.history)
		if err != nil {
			t.Fatal(err)
		}
		next[30] ^= 1 // not what stands there anyway
		if _, err := f.WriteAt(next[:cut], stride); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		again := quiet(t, dir).Entry(web())
		if got := again.history.Advance(nil, cputime.Sample{}); !slices.Equal(got, old) {
			t.Fatalf("cut at %d: took over %v", cut, again.history.At())
		}
		advance(t, again, at(12*s, 500))
		if now := quiet(t, dir).Entry(web()).history.At(); now != 12*s {
			t.Fatalf("cut at %d: the next one stands at %v", cut, now)
		}
	}
}

func TestBadFilesAreSetAside(t *testing.T) {
	record := func(k Key) []byte {
		var h cputime.History
		h.Advance(nil, at(10*s, 2))
		data, err := appendRecord(nil, 2, k, &h)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	changed := func(offset int, b byte) []byte {
		data := record(web())
		data[offset] ^= b
		return data
	}
	version := record(web())
	version[header+3*8+4+len(web().ID)]++
	seal(version)
	for _, c := range []struct {
		name  string
		data  []byte
		cause string
	}{
		{"text", []byte("cpu  1 2 3 4 5 6 7 8 9 10\n"), errMagic.Error()},
		{"one byte", []byte("c"), errShort.Error()},
		{"header alone", record(web())[:header], errShort.Error()},
		{"cut short", record(web())[:100], errShort.Error()},
		{"a bit changed", changed(60, 1), errChecksum.Error()},
		{"impossible length", changed(len(magic)+3, 0x80), errLength.Error()},
		{"another container's", record(Key{"db", s, 7}), errKey.Error()},
		{"another version's", version, cputime.ErrVersion.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var log testLog
			store := open(t, dir, "boot", log.logger())
			path := file(store, web())
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			e := store.Entry(web())
			if e.history.At() != 0 {
				t.Error("something was taken over")
			}
			if !strings.Contains(log.String(), c.cause) || !strings.Contains(log.String(), path) {
				t.Errorf("logged: %s", log.String())
			}
			if kept, err := os.ReadFile(path + bad); err != nil || !bytes.Equal(kept, c.data) {
				t.Errorf("set aside: %q, %v", kept, err)
			}
			advance(t, e, at(20*s, 2))
			if now := quiet(t, dir).Entry(web()).history.At(); now != 20*s {
				t.Errorf("the next one stands at %v", now)
			}
			if n, err := store.Sweep(func(Key) bool { return true }); n != 1 || err != nil {
				t.Errorf("Sweep removes %d files, %v; want the one set aside", n, err)
			}
		})
	}
}

// seal makes a record's checksum right again.
func seal(data []byte) {
	sum := crc32.Checksum(data[header:], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(data[len(magic)+4:], sum)
}

// A file that can be neither used nor renamed is overwritten, and what stood in
// its other place never comes back.
func TestBadFileThatStays(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir, "boot", slog.New(slog.DiscardHandler))
	var other cputime.History
	other.Advance(nil, at(99*s, 2))
	data, err := appendRecord(nil, 1000, Key{"db", s, 7}, &other)
	if err != nil {
		t.Fatal(err)
	}
	path := file(store, web())
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+bad, 0o700); err != nil {
		t.Fatal(err)
	}
	advance(t, store.Entry(web()), at(10*s, 2))
	if now := quiet(t, dir).Entry(web()).history.At(); now != 10*s {
		t.Errorf("the next one stands at %v", now)
	}
}

func FuzzReadFile(f *testing.F) {
	var h cputime.History
	for sequence := range uint64(2) {
		h.Advance(nil, at(time.Duration(10+sequence)*s, 2))
		data, err := appendRecord(nil, sequence, web(), &h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
		f.Add(data[:40], data)
		f.Add(data[header:], []byte(nil))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		r, err := readFile(twoPlaces{first, second})
		if err == nil && r.sequence == 0 && len(first)+len(second) == 0 {
			t.Fatal("a record of nothing")
		}
	})
}

// twoPlaces is a file with these bytes in its two places.
type twoPlaces struct{ first, second []byte }

func (f twoPlaces) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= stride {
		return bytes.NewReader(f.second).ReadAt(p, offset-stride)
	}
	return bytes.NewReader(f.first).ReadAt(p, offset)
}
