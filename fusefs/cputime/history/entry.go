// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
)

// Entry is a container's history and the file that keeps it.
type Entry struct {
	store    *Store // nil: memory alone
	key      Key
	name     string
	history  cputime.History
	sequence uint64 // of the last record written; its lowest bit says where
	anew     bool   // nothing in the file counts, if there is one
	buf      []byte
}

// load reads the entry's file.
func (e *Entry) load() error {
	r, err := e.store.read(e.name)
	if err != nil {
		return err
	}
	if r.key != e.key {
		return errKey
	}
	if err := e.history.UnmarshalBinary(r.history); err != nil {
		return err
	}
	e.sequence = r.sequence
	return nil
}

// Advance is [cputime.History.Advance], and then writes the history down. An error
// says that it could not be written: the columns are good all the same, but a
// restart of the server may make them fall. The next Advance tries again.
func (e *Entry) Advance(dst []cputime.Column, sample cputime.Sample) ([]cputime.Column, error) {
	before := e.history.At()
	columns := e.history.Advance(dst, sample)
	if e.store == nil || e.history.At() == before {
		return columns, nil
	}
	if err := e.save(); err != nil {
		return columns, fmt.Errorf("keep CPU history of %q: %s: %w; /proc/stat is right, but may fall when the server is restarted",
			e.key.ID, e.store.path(e.name), err)
	}
	return columns, nil
}

func (e *Entry) save() (err error) {
	e.buf, err = appendRecord(e.buf[:0], e.sequence+1, e.key, &e.history)
	if err != nil {
		return err
	}
	flags := 0
	if e.anew {
		flags = os.O_TRUNC
	}
	offset := int64((e.sequence+1)%2) * stride
	for {
		file, err := e.store.fileOf(e, flags)
		if err != nil {
			return err
		}
		_, err = file.WriteAt(e.buf, offset)
		if errors.Is(err, fs.ErrClosed) {
			continue // it had to make room for another
		}
		if err != nil {
			return err
		}
		e.sequence++
		e.anew = false
		return nil
	}
}

// Close closes the entry's descriptor and keeps its file: the container lives on,
// nobody here will read it.
func (e *Entry) Close() {
	if e.store != nil {
		e.store.drop(e)
	}
}

// Remove removes the file: the container is gone. That there is none is no error.
// A late reader's Advance makes no new one.
func (e *Entry) Remove() error {
	if e.store == nil {
		return nil
	}
	store := e.store
	e.store = nil
	store.drop(e)
	if err := store.root.Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget CPU history of %q: %s: %w; the next start of the server tries again", e.key.ID, store.path(e.name), err)
	}
	return nil
}
