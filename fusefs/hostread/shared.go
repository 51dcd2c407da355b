// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"bytes"
	"sync"
	"time"
)

// A shared keeps what was made of a host file for a while, for all containers.
// Readers that find it too old each make a new one: nobody waits for anybody.
//
// A version that is no longer the newest, and that no record holds, is made into
// the next one: two or three versions take turns, and making one allocates
// nothing. Who reads without a record holds its version for good; the garbage
// collector takes that.
type shared[T any] struct {
	maxAge time.Duration
	now    func() time.Time

	mu    sync.Mutex
	last  *version[T]
	spare []*version[T]
}

// A version is a text and what it says.
type version[T any] struct {
	of    *shared[T]
	text  []byte
	value T
	good  bool   // value is what text says
	other []byte // memory for the next text

	// Guarded by of.mu.
	at   time.Time // when its making began
	uses int       // one as the newest, one for each reader
}

// mostSpare bounds what is kept after many readers at once.
const mostSpare = 2

// get returns a version no older than maxAge that fits, making one of a text if
// need be. parse gets an old value whose memory may be used again. The record
// holds the version until its Reset.
func (s *shared[T]) get(
	record *Record, path string, fits func(T) bool,
	read func(memory []byte) ([]byte, error), parse func(old T, text []byte) (T, error),
) (T, error) {
	now := s.now()
	v := s.recent(now, fits)
	if v == nil {
		v = s.old()
		if err := v.renew(fits, read, parse); err != nil {
			s.mu.Lock()
			s.keepSpare(v)
			s.mu.Unlock()
			record.add(path, nil, nil)
			var none T
			return none, err
		}
		s.mu.Lock()
		before := s.last
		s.last, v.at, v.uses = v, now, 2
		if before != nil {
			s.end(before)
		}
		s.mu.Unlock()
	}
	record.add(path, v.text, v)
	return v.value, nil
}

// recent is the newest version if it is young enough and fits, held once more.
func (s *shared[T]) recent(now time.Time, fits func(T) bool) *version[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.last
	if v == nil || !fits(v.value) {
		return nil
	}
	if age := now.Sub(v.at); age < 0 || age > s.maxAge {
		return nil
	}
	v.uses++
	return v
}

// old is a version that nobody needs.
func (s *shared[T]) old() *version[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.spare)
	if n == 0 {
		return &version[T]{of: s}
	}
	v := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return v
}

// renew makes the version what its file says now.
func (v *version[T]) renew(
	fits func(T) bool, read func([]byte) ([]byte, error), parse func(T, []byte) (T, error),
) error {
	text, err := read(v.other[:0])
	if err != nil {
		return err
	}
	v.text, v.other = text, v.text
	if v.good && fits(v.value) && bytes.Equal(v.text, v.other) {
		v.text, v.other = v.other, v.text // the value may share it
		return nil
	}
	v.value, err = parse(v.value, text)
	v.good = err == nil
	return err
}

// release ends a reader's hold.
func (v *version[T]) release() {
	v.of.mu.Lock()
	defer v.of.mu.Unlock()
	v.of.end(v)
}

// end ends a hold. s.mu is held.
func (s *shared[T]) end(v *version[T]) {
	if v.uses--; v.uses == 0 {
		s.keepSpare(v)
	}
}

// keepSpare keeps a version that nobody needs. s.mu is held.
func (s *shared[T]) keepSpare(v *version[T]) {
	if len(s.spare) < mostSpare {
		s.spare = append(s.spare, v)
	}
}

// always is the fits of values that only age.
func always[T any](T) bool { return true }
