// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
)

// sweepTime is how long one leftover may take. The next start tries again, so
// a process that can't be killed now must not hold this one up.
const sweepTime = 10 * time.Second

// Sweep removes what dead owners left: processes, cgroups, directories,
// entries. It costs one look into the directory when there is nothing. Several
// processes may sweep at once; each leftover is one's. What can't be removed
// stays for the next time and is in the error.
func (s *Store) Sweep(ctx context.Context, cgroups Cgroups) error {
	dead, err := s.takeDead()
	if err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	var failed []error
	for _, e := range dead {
		limited, cancel := context.WithTimeout(ctx, sweepTime)
		err := e.Remove(limited, cgroups)
		cancel()
		if err != nil {
			failed = append(failed, fmt.Errorf("remove leftovers of %s: %w", e.record.ID, err))
			_ = e.Release() // somebody else may try
			continue
		}
		s.log.Info("removed what a dead owner left", "container", e.record.ID, "owner", e.record.Owner.PID)
	}
	return errors.Join(failed...)
}

// takeDead locks every entry whose lock is free.
func (s *Store) takeDead() ([]*Entry, error) {
	if names, err := os.ReadDir(s.dir); errors.Is(err, os.ErrNotExist) || err == nil && len(names) == 0 {
		return nil, nil
	}
	unlock, err := s.lockDirectory()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var dead []*Entry
	for _, name := range names {
		dir := filepath.Join(s.dir, name.Name())
		if !name.IsDir() || CheckID(name.Name()) != nil {
			s.log.Warn("not a container's directory", "path", dir)
			continue
		}
		lock, err := tryLock(dir)
		if errors.Is(err, ErrInUse) {
			continue
		}
		if err != nil {
			s.log.Warn("leftover that can't be locked", "path", dir, "err", err)
			continue
		}
		r, err := read(dir)
		if err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				// Deleting by a record that isn't whole would be guessing; and
				// without the record nobody would ever know what it named.
				s.log.Warn("leftover with an unreadable state file; look at it and remove the directory", "path", dir, "err", err)
				_ = lock.Close()
				continue
			}
			r = Record{ID: name.Name()} // died before it made anything
		}
		dead = append(dead, &Entry{store: s, dir: dir, lock: lock, record: r})
	}
	return dead, nil
}

// remove removes what r names. The cgroup goes after init is killed and before
// the directories, which its processes may still write to.
func (r Record) remove(ctx context.Context, proc string, cgroups Cgroups) error {
	if err := r.Init.kill(ctx, proc); err != nil {
		return err
	}
	if r.Cgroup != "" {
		if err := cgroups.Remove(ctx, r.Cgroup); err != nil {
			return err
		}
	}
	var failed []error
	for _, dir := range r.Dirs {
		failed = append(failed, rootfs.Remove(dir))
	}
	return errors.Join(failed...)
}
