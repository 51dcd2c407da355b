// SPDX-License-Identifier: Apache-2.0

package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Key says which container a history is of.
type Key struct {
	ID    string        // its id, or what else names it, such as its cgroup's path
	Start time.Duration // the boot clock when its init began
	Inode uint64        // of its cgroup's directory
}

const (
	suffix = ".cpu"
	bad    = ".bad" // after suffix: set aside
	// mostOpen bounds the descriptors of a store. A file that isn't open costs
	// another 5 µs per advance.
	mostOpen = 256
)

// Store is a directory of histories.
type Store struct {
	root *os.Root
	boot string
	log  *slog.Logger

	mu   sync.Mutex
	open map[*Entry]*os.File // guarded by mu
}

// Open makes dir (mode 0700) if it isn't there; its parent must be. bootID is any
// text that is another one after a reboot, such as /proc/sys/kernel/random/boot_id.
func Open(dir, bootID string, log *slog.Logger) (*Store, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open CPU histories: %w; make its parent directory first", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open CPU histories: %w; name another directory", err)
	}
	return &Store{root: root, boot: bootID, log: log, open: map[*Entry]*os.File{}}, nil
}

// Close closes all descriptors; the files stay. Entries must not be used any more.
func (s *Store) Close() error {
	s.mu.Lock()
	files := s.open
	s.open = nil
	s.mu.Unlock()
	for _, file := range files {
		_ = file.Close() // nothing is buffered
	}
	return s.root.Close()
}

// name is the name of a container's file.
func (s *Store) name(k Key) string {
	hash := sha256.New()
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], uint64(k.Start))
	binary.LittleEndian.PutUint64(numbers[8:], k.Inode)
	_, _ = hash.Write(numbers[:]) // a hash's never fails
	_, _ = io.WriteString(hash, s.boot+"\x00"+k.ID)
	return hex.EncodeToString(hash.Sum(nil)[:16]) + suffix
}

// Entry is the history of a container, read from its file if there is a good one.
// It doesn't fail: what can't be read is set aside and logged. One key has one
// entry at a time.
//
// A nil Store has entries that keep their history in memory alone.
func (s *Store) Entry(k Key) *Entry {
	e := &Entry{store: s, key: k}
	if s == nil {
		return e
	}
	e.name = s.name(k)
	switch err := e.load(); {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, io.EOF): // never written
		e.anew = true
	default:
		e.anew = true
		s.setAside(e.name, err)
	}
	return e
}

// setAside renames a file that is no use.
func (s *Store) setAside(name string, cause error) {
	kept := name + bad
	if err := s.root.Rename(name, kept); err != nil {
		kept = err.Error()
	}
	s.log.Warn("a container's CPU history can't be used: its columns in /proc/stat begin anew",
		"path", s.path(name), "cause", cause, "kept_as", kept)
}

func (s *Store) path(name string) string { return s.root.Name() + "/" + name }

// Sweep removes the files of containers that aren't alive, those of before the
// last reboot, and what an earlier sweep or Entry set aside; it sets aside what
// can't be read. Call it before the first Entry. Files with other names than a
// store gives are left alone. The error is the first; the others are tried still.
func (s *Store) Sweep(alive func(Key) bool) (removed int, err error) {
	list, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		err = fmt.Errorf("sweep CPU histories: %w", err)
	}
	for _, file := range list {
		name := file.Name()
		base, wasBad := strings.CutSuffix(name, bad)
		if id, ours := strings.CutSuffix(base, suffix); !ours || !isHash(id) || !file.Type().IsRegular() {
			continue
		}
		if !wasBad {
			r, readErr := s.read(name)
			if readErr == nil && s.name(r.key) == name && alive(r.key) {
				continue
			}
			if readErr != nil && !errors.Is(readErr, io.EOF) {
				s.setAside(name, readErr)
				continue
			}
		}
		switch rmErr := s.root.Remove(name); {
		case rmErr == nil:
			removed++
		case err == nil:
			err = fmt.Errorf("sweep CPU histories: %s: %w", s.path(name), rmErr)
		}
	}
	return removed, err
}

func isHash(name string) bool {
	return len(name) == 32 && strings.Trim(name, "0123456789abcdef") == ""
}

func (s *Store) read(name string) (record, error) {
	file, err := s.root.Open(name)
	if err != nil {
		return record{}, err
	}
	defer func() { _ = file.Close() }()
	return readFile(file)
}

// fileOf is the entry's open file. Another goroutine may close it at any time, to
// make room for its own; os.File lets a write that has begun end, and says
// os.ErrClosed to one that hasn't.
func (s *Store) fileOf(e *Entry, flags int) (*os.File, error) {
	s.mu.Lock()
	file := s.open[e]
	s.mu.Unlock()
	if file != nil {
		return file, nil
	}
	file, err := s.root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|flags, 0o600)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.open == nil {
		s.mu.Unlock()
		_ = file.Close()
		return nil, fs.ErrClosed
	}
	var evicted *os.File
	if len(s.open) >= mostOpen {
		for other, its := range s.open { // any will do
			evicted = its
			delete(s.open, other)
			break
		}
	}
	s.open[e] = file
	s.mu.Unlock()
	if evicted != nil {
		_ = evicted.Close()
	}
	return file, nil
}

// drop closes the entry's file.
func (s *Store) drop(e *Entry) {
	s.mu.Lock()
	file := s.open[e]
	delete(s.open, e)
	s.mu.Unlock()
	if file != nil {
		_ = file.Close()
	}
}
