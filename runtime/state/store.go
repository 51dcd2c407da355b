// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrInUse says that a living process owns the id.
	ErrInUse = errors.New("already in use")
	// ErrUnknown says that there is no container of that id.
	ErrUnknown = errors.New("no such container")
)

// Cgroups removes cgroups; runtime/container's Cgroups is one.
type Cgroups interface {
	// Remove kills what is in the cgroup at path and below and deletes them.
	// One that is not there is no error.
	Remove(ctx context.Context, path string) error
}

// Store is the containers' directory below a state directory. It holds nothing
// and is safe for concurrent use, also by several processes.
type Store struct {
	dir, proc string
	log       *slog.Logger
}

// New returns the store below stateDir; procRoot is "/proc". It makes nothing.
func New(stateDir, procRoot string, log *slog.Logger) *Store {
	return &Store{filepath.Join(stateDir, containersDir), procRoot, log}
}

// Entry is a container's entry that this process owns.
type Entry struct {
	store  *Store
	dir    string
	lock   *os.File
	record Record
}

// Claim makes the entry of r.ID, locks it for the life of this process and
// writes r, with Owner filled in. ErrInUse when a living process has it. An
// entry that a dead owner left is another error, since a start sweeps first; one
// that somebody is just sweeping is waited for.
func (s *Store) Claim(ctx context.Context, r Record) (*Entry, error) {
	if err := CheckID(r.ID); err != nil {
		return nil, err
	}
	owner, err := FindProcess(s.proc, os.Getpid())
	if err != nil {
		return nil, err
	}
	r.Owner = owner
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("claim container %s: %w", r.ID, err)
	}
	for {
		e, err := s.claim(r)
		if err == nil || !errors.Is(err, ErrInUse) || !s.ownerDead(r.ID) {
			return e, err
		}
		select { // a sweep has it
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Store) claim(r Record) (*Entry, error) {
	unlock, err := s.lockDirectory()
	if err != nil {
		return nil, fmt.Errorf("claim container %s: %w", r.ID, err)
	}
	defer unlock()
	e := &Entry{store: s, dir: filepath.Join(s.dir, r.ID), record: r}
	if err := unix.Mkdir(e.dir, 0o700); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = s.whyTaken(e.dir)
		}
		return nil, fmt.Errorf("container id: %s: %w", r.ID, err)
	}
	if e.lock, err = tryLock(e.dir); err == nil {
		err = r.write(e.dir)
	}
	if err != nil {
		_ = e.forget() // the first error is the one that counts
		return nil, fmt.Errorf("claim container %s: %w", r.ID, err)
	}
	return e, nil
}

// whyTaken tells a living owner's entry (or one that is being swept) from what a
// dead owner left. The caller holds the directory lock.
func (s *Store) whyTaken(dir string) error {
	lock, err := tryLock(dir)
	if err != nil {
		return err
	}
	_ = lock.Close()
	return fmt.Errorf("a dead owner left %s, which could not be removed so far", dir)
}

// ownerDead reports whether the entry of id is a dead owner's, or gone.
func (s *Store) ownerDead(id string) bool {
	r, err := read(filepath.Join(s.dir, id))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return !r.Owner.Alive(s.proc)
}

// lockDirectory takes the directory lock; os.ErrNotExist when there is no
// directory, so no containers.
func (s *Store) lockDirectory() (unlock func(), err error) {
	fd, err := unix.Open(s.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: s.dir, Err: err}
	}
	for {
		err := unix.Flock(fd, unix.LOCK_EX)
		switch {
		case err == nil:
			return func() { _ = unix.Close(fd) }, nil
		case !errors.Is(err, unix.EINTR):
			_ = unix.Close(fd)
			return nil, &os.PathError{Op: "flock", Path: s.dir, Err: err}
		}
	}
}

// tryLock locks the entry in dir; ErrInUse when somebody else has it.
func tryLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// Record is what was last written.
func (e *Entry) Record() Record { return e.record }

// Update changes the record and writes it.
func (e *Entry) Update(change func(*Record)) error {
	next := e.record
	change(&next)
	next.ID, next.Owner = e.record.ID, e.record.Owner
	if err := next.write(e.dir); err != nil {
		return err
	}
	e.record = next
	return nil
}

// Remove kills the init process, removes the cgroup and the directories that
// the record names, and then the entry itself. What can't be removed is
// reported, the entry stays then, and Remove may be called again.
func (e *Entry) Remove(ctx context.Context, cgroups Cgroups) error {
	if e.lock == nil {
		return nil
	}
	if err := e.record.remove(ctx, e.store.proc, cgroups); err != nil {
		return err
	}
	unlock, err := e.store.lockDirectory()
	if err != nil {
		return fmt.Errorf("remove container %s: %w", e.record.ID, err)
	}
	defer unlock()
	return e.forget()
}

// Release lets go of the lock and leaves everything to the next sweep.
func (e *Entry) Release() error {
	if e.lock == nil {
		return nil
	}
	lock := e.lock
	e.lock = nil
	return lock.Close()
}

// forget removes the entry. The caller holds the directory lock.
func (e *Entry) forget() error {
	err := os.RemoveAll(e.dir)
	if e.lock != nil {
		_ = e.lock.Close()
		e.lock = nil
	}
	if err != nil {
		return fmt.Errorf("remove container %s: %w", e.record.ID, err)
	}
	return nil
}

// Load reads the record of id, whoever owns it. ErrUnknown.
func (s *Store) Load(id string) (Record, error) {
	if err := CheckID(id); err != nil {
		return Record{}, err
	}
	r, err := read(filepath.Join(s.dir, id))
	if errors.Is(err, os.ErrNotExist) {
		return Record{}, fmt.Errorf("container %s: %w", id, ErrUnknown)
	}
	return r, err
}

// List reads all records, in the order of their ids. Entries that come or go
// meanwhile may be missing.
func (s *Store) List() ([]Record, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var all []Record
	var failed []error
	for _, entry := range entries {
		r, err := read(filepath.Join(s.dir, entry.Name()))
		switch {
		case err == nil:
			all = append(all, r)
		case !errors.Is(err, os.ErrNotExist):
			failed = append(failed, err)
		}
	}
	return all, errors.Join(failed...)
}
