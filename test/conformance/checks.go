// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// chunks: however a reader cuts the file up, it gets all of it.
func chunks(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	for _, size := range sizes() {
		err := withOpen(s.path(file), func(fd int) error {
			got, err := pass(fd, size)
			if err != nil {
				return err
			}
			return sameShape(got, want)
		})
		if err != nil {
			return fmt.Errorf("reads of %d bytes: %w", size, err)
		}
	}
	return nil
}

// oneSnapshot: what is read after offset 0 was read belongs to it, whatever the
// size of the reads, and whatever changes meanwhile.
func oneSnapshot(s *Subject, file string) error {
	return withOpen(s.path(file), func(fd int) error {
		if _, err := pread(fd, 1, 0); err != nil {
			return err
		}
		want, err := pread(fd, large, 1)
		if err != nil {
			return err
		}
		for _, size := range sizes() {
			if err := s.change(file); err != nil {
				return err
			}
			got, err := passFrom(fd, size, 1)
			if err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("reads of %d bytes see another snapshot: %s", size, difference(got, want))
			}
		}
		return nil
	})
}

// change changes the file if that is possible.
func (s *Subject) change(file string) error {
	if s.Change == nil {
		return nil
	}
	if _, err := s.Change(file); err != nil {
		return fmt.Errorf("change what %s says: %w", file, err)
	}
	return nil
}

// fresh: procps keeps files open and seeks to 0.
func fresh(s *Subject, file string) error {
	return withOpen(s.path(file), func(fd int) error {
		reread := func() (string, error) {
			if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
				return "", fmt.Errorf("seek: %w", err)
			}
			return pass(fd, large)
		}
		first, err := reread()
		if err != nil {
			return err
		}
		second, err := reread()
		if err != nil {
			return err
		}
		if err := sameShape(second, first); err != nil {
			return err
		}
		if s.Change == nil {
			return nil
		}
		possible, err := s.Change(file)
		if err != nil || !possible {
			return err
		}
		_, err = await("the change", func() (bool, error) {
			text, err := reread()
			return text != second, err
		})
		return err
	})
}

// middle: the first read of a handle need not be at 0. A text that has grown or
// shrunk by a digit between the two looks is looked at again.
func middle(s *Subject, file string) error {
	var err error
	for range 3 {
		if err = middleOnce(s, file); err == nil {
			return nil
		}
	}
	return err
}

func middleOnce(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	for _, offset := range []int64{1, int64(len(want) / 2), int64(len(want) - 1)} {
		if offset >= int64(len(want)) {
			continue // of a text of one byte there is no middle
		}
		err := withOpen(s.path(file), func(fd int) error {
			got, err := pread(fd, large, offset)
			if err != nil {
				return err
			}
			if got == "" || !strings.HasSuffix(shape(want), shape(got)) {
				return fmt.Errorf("a first read at %d of %d gives %q", offset, len(want), got)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// end: 0 bytes past the end, wherever, and however the reader came there.
func end(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	past := []int64{int64(len(want)) + 100, large, math.MaxInt32, math.MaxInt64 - large}
	return withOpen(s.path(file), func(fd int) error {
		for _, offset := range past {
			if got, err := pread(fd, 4096, offset); err != nil || got != "" {
				return fmt.Errorf("at %d, past the end: %q, %w", offset, got, err)
			}
		}
		if _, err := pass(fd, 4096); err != nil {
			return err
		}
		for range 3 {
			if got, err := pass(fd, 4096); err != nil || got != "" {
				return fmt.Errorf("after the end: %q, %w", got, err)
			}
		}
		return nil
	})
}

// parallel: threads that share a descriptor and pread(2) by turns.
func parallel(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	return withOpen(s.path(file), func(fd int) error {
		const threads, rounds = 8, 50
		problems := make([]error, threads)
		var all sync.WaitGroup
		for thread := range threads {
			all.Go(func() {
				offset := int64(thread * len(want) / threads)
				for range rounds {
					got, err := pread(fd, large, offset)
					if err == nil && (got == "" || !strings.HasSuffix(shape(want), shape(got))) {
						err = fmt.Errorf("pread at %d: %s", offset, difference(shape(got), shape(want[offset:])))
					}
					if err != nil {
						problems[thread] = err
						return
					}
				}
			})
		}
		all.Wait()
		return errors.Join(problems...)
	})
}

// modeAndOwner: the same as those of the host's file.
func modeAndOwner(s *Subject, file string) error {
	var ours, hosts unix.Stat_t
	if err := unix.Stat(s.path(file), &ours); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if err := unix.Stat("/"+file, &hosts); err != nil {
		return fmt.Errorf("stat: /%s: %w", file, err)
	}
	if ours.Mode != hosts.Mode || ours.Uid != hosts.Uid || ours.Gid != hosts.Gid || ours.Nlink != hosts.Nlink {
		return fmt.Errorf("mode %o, owner %d:%d, %d links; the host's has %o, %d:%d, %d",
			ours.Mode, ours.Uid, ours.Gid, ours.Nlink, hosts.Mode, hosts.Uid, hosts.Gid, hosts.Nlink)
	}
	return nil
}

// vagueSize: readers must not be led to stop early, or to believe in a length.
// 0 is what procfs gives, whole pages are what sysfs gives; an exact size is
// right, too.
func vagueSize(s *Subject, file string) error {
	var st unix.Stat_t
	if err := unix.Stat(s.path(file), &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	text, err := whole(s.path(file))
	if err != nil {
		return err
	}
	length := int64(len(text))
	pages := st.Size%int64(os.Getpagesize()) == 0 && st.Size >= length
	if st.Size != 0 && st.Size != length && !pages || st.Blocks != 0 {
		return fmt.Errorf("st_size is %d, st_blocks %d, the text has %d bytes", st.Size, st.Blocks, length)
	}
	return nil
}

// listed: each directory on the way lists the next one, and the file.
func listed(s *Subject, file string) error {
	for at := file; at != "."; at = path.Dir(at) {
		entries, err := os.ReadDir(filepath.Dir(s.path(at)))
		if err != nil {
			return err
		}
		found := false
		for _, e := range entries {
			found = found || e.Name() == path.Base(at) && e.IsDir() == (at != file)
		}
		if !found {
			return fmt.Errorf("%s isn't listed", at)
		}
	}
	return nil
}

// pollReadable: a reader that asks first is told to go on.
func pollReadable(s *Subject, file string) error {
	return withOpen(s.path(file), func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := retryFD(func() (int, error) { return unix.Poll(fds, 10_000) })
		if err != nil || n != 1 || fds[0].Revents&unix.POLLIN == 0 {
			return fmt.Errorf("poll gives %d, %#x, %w", n, fds[0].Revents, err)
		}
		return nil
	})
}
