// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endTimeout bounds Kill and Delete where the caller's context has no deadline:
// a process in uninterruptible sleep may never end.
const endTimeout = 10 * time.Second

// Kill ends every process in the cgroup and below it and returns when none is
// left; [ErrStillThere] with their PIDs when ctx, or ten seconds if it has no
// deadline, is over. It doesn't reap: a zombie child of the caller is gone here.
//
// Where cgroup2 has cgroup.kill (Linux 5.14), one write kills all at once, those
// that are just being forked too. Elsewhere, and for processes that joined only
// a part of the hierarchies, SIGKILL goes to each one until no more turn up; a
// container's PID namespace ends with its first process, so that what forks
// faster than this loop reads is caught by the kernel. Frozen ones are thawed,
// since on v1 they die only then.
func (c *Cgroup) Kill(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	if h := c.host.of(""); h != nil && exists(c.in(*h), "cgroup.kill") {
		if group, err := unifiedGroup(*h, c.path); err == nil {
			// A failure is the loop's to make good.
			_ = group.kill()
		}
	}
	wait := newBackoff()
	for {
		left, err := c.signalAll()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if err := c.thaw(); err != nil {
			return err
		}
		if !wait.next(ctx) {
			return fmt.Errorf("cgroup: kill: %s: processes %v: %w", c.path, left, ErrStillThere)
		}
	}
}

// signalAll sends SIGKILL to every process in any of the hierarchies and
// returns their PIDs. The kernel hands a PID out again once its process is
// gone, so each one is pinned by a pidfd and then looked up once more.
func (c *Cgroup) signalAll() ([]int, error) {
	pids, err := c.processes()
	if err != nil || len(pids) == 0 {
		return nil, err
	}
	pinned := make(map[int]int, len(pids))
	defer func() {
		for _, fd := range pinned {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		if pid == os.Getpid() {
			return nil, fmt.Errorf("cgroup: kill: %s: this process itself, %d, is in it", c.path, pid)
		}
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			pinned[pid] = fd
		}
	}
	still, err := c.processes()
	if err != nil {
		return nil, err
	}
	for _, pid := range still {
		if fd, ok := pinned[pid]; ok {
			if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return nil, fmt.Errorf("cgroup: kill: %s: process %d: %w", c.path, pid, err)
			}
		}
	}
	return still, nil
}

// processes are the PIDs in the cgroup and below, in all hierarchies.
func (c *Cgroup) processes() ([]int, error) {
	var all []int
	for _, dir := range c.dirs() {
		pids, err := processes(dir)
		if err != nil {
			return nil, fmt.Errorf("cgroup: %s: %w", dir, err)
		}
		all = append(all, pids...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// processes are the PIDs in a directory and below. What is gone has none. The
// kernel writes 0 for a process outside our PID namespace.
func processes(dir string) ([]int, error) {
	var pids []int
	err := walk(dir, func(dir string) error {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		switch {
		case gone(err):
			return nil
		case errors.Is(err, unix.EOPNOTSUPP):
			// A threaded cgroup: its processes are in the one above it.
			return nil
		case err != nil:
			return err
		}
		for word := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("cgroup.procs: %q: %w", word, err)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
}

// thaw thaws the v1 freezer's cgroup and those below.
func (c *Cgroup) thaw() error {
	h := c.host.of("freezer")
	if h == nil || h.Unified {
		return nil
	}
	return walk(c.in(*h), func(dir string) error {
		file := filepath.Join(dir, "freezer.state")
		text, err := os.ReadFile(file)
		if gone(err) || err == nil && strings.TrimSpace(string(text)) == "THAWED" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cgroup: thaw: %w", err)
		}
		if err := c.sys.write(file, "THAWED"); err != nil && !gone(err) {
			return err
		}
		return nil
	})
}

// Delete removes the cgroup and those below it from every hierarchy, and then
// the parents that are empty: [Parent], and those that this Create made. The
// kernel keeps a cgroup busy for a moment after its last process ended, so it
// tries until ctx, or ten seconds if that has no deadline, is over. A cgroup
// that isn't there is no error.
func (c *Cgroup) Delete(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	var first error
	for _, dir := range c.dirs() {
		// One that stays is no reason to leave the others.
		if err := c.removeTree(ctx, dir); err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	for _, h := range c.host.hierarchies {
		for at := path.Dir(c.path); at != "/"; at = path.Dir(at) {
			dir := filepath.Join(h.Mountpoint, at)
			if at != Parent && !strings.HasPrefix(at, Parent+"/") && !slices.Contains(c.made, dir) {
				break
			}
			if err := c.removeEmpty(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeTree removes dir and what is below, waiting while it is busy.
func (c *Cgroup) removeTree(ctx context.Context, dir string) error {
	wait := newBackoff()
	for {
		err := c.removeOnce(dir)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOTEMPTY) {
			return fmt.Errorf("cgroup: remove: %s: %w", dir, err)
		}
		if wait.next(ctx) {
			continue
		}
		if pids, perr := processes(dir); perr == nil && len(pids) > 0 {
			return fmt.Errorf("cgroup: remove: %s: processes %v: %w: %w", dir, pids, ErrStillThere, err)
		}
		return fmt.Errorf("cgroup: remove: %s: %w: %w", dir, ErrStillThere, err)
	}
}

func (c *Cgroup) removeOnce(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case gone(err):
		return nil
	case err != nil:
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := c.removeOnce(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if err := c.sys.rmdir(dir); err != nil && !gone(err) {
		return err
	}
	return nil
}

// removeEmpty removes dir unless somebody uses it.
func (c *Cgroup) removeEmpty(dir string) error {
	err := c.sys.rmdir(dir)
	if err == nil || gone(err) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return fmt.Errorf("cgroup: remove: %s: %w", dir, err)
}

// walk calls f with dir and every directory below it, parents first. Those that
// vanish meanwhile are passed over.
func walk(dir string, f func(dir string) error) error {
	entries, err := os.ReadDir(dir)
	switch {
	case gone(err):
		return nil
	case err != nil:
		return err
	}
	if err := f(dir); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := walk(filepath.Join(dir, e.Name()), f); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone reports whether err says that a cgroup was removed: ENOENT to those who
// look for it, ENODEV to those who hold one of its files open.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, endTimeout)
}

// backoff paces looking again: cgroups have no event that covers v1 and v2, and
// most ends take a millisecond or two.
type backoff struct{ pause time.Duration }

func newBackoff() *backoff { return &backoff{pause: 500 * time.Microsecond} }

// next waits and reports whether there is time for another try.
func (b *backoff) next(ctx context.Context) bool {
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	b.pause = min(2*b.pause, 50*time.Millisecond)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
