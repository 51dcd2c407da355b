// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kinds: the system calls that a file can be read with, but mmap(2), which
// procfs doesn't have either.
func kinds(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	var failed error
	for name, read := range map[string]func(path string) (string, error){
		"readv": byReadv, "preadv": byPreadv, "sendfile": bySendfile, "splice": bySplice,
		"O_DIRECT": withFlags(unix.O_DIRECT), "O_NONBLOCK": withFlags(unix.O_NONBLOCK),
		"O_NOATIME": withFlags(unix.O_NOATIME), "os.ReadFile": byReadFile,
	} {
		got, err := read(s.path(file))
		if err == nil {
			err = sameShape(got, want)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return failed
}

func byReadFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
}

func byReadv(path string) (text string, err error) {
	err = withOpen(path, func(fd int) error {
		text, err = gather(func(bufs [][]byte, _ int) (int, error) { return unix.Readv(fd, bufs) })
		return err
	})
	return text, err
}

func byPreadv(path string) (text string, err error) {
	err = withOpen(path, func(fd int) error {
		text, err = gather(func(bufs [][]byte, at int) (int, error) { return unix.Preadv(fd, bufs, int64(at)) })
		return err
	})
	return text, err
}

// gather reads to the end into three buffers at once.
func gather(read func(bufs [][]byte, at int) (int, error)) (string, error) {
	var all strings.Builder
	for {
		bufs := [][]byte{make([]byte, 3), make([]byte, 100), make([]byte, 1000)}
		n, err := retryFD(func() (int, error) { return read(bufs, all.Len()) })
		if err != nil || n == 0 {
			return all.String(), err
		}
		for _, b := range bufs {
			part := min(n, len(b))
			all.Write(b[:part])
			n -= part
		}
	}
}

// withFlags reads a file opened with more flags than O_RDONLY.
func withFlags(flags int) func(path string) (string, error) {
	return func(path string) (text string, err error) {
		fd, err := retryFD(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0) })
		if errors.Is(err, unix.EINVAL) && flags == unix.O_DIRECT || errors.Is(err, unix.EPERM) && flags == unix.O_NOATIME {
			return byReadFile(path) // procfs has no O_DIRECT, and O_NOATIME is for owners
		}
		if err != nil {
			return "", err
		}
		text, err = pass(fd, 4096)
		return text, errors.Join(err, unix.Close(fd))
	}
}

// bySendfile and bySplice move the text through a pipe, which has room for it.
func bySendfile(path string) (string, error) {
	return throughPipe(path, func(in, out int) (int, error) { return unix.Sendfile(out, in, nil, 32<<10) })
}

func bySplice(path string) (string, error) {
	return throughPipe(path, func(in, out int) (int, error) {
		n, err := unix.Splice(in, nil, out, nil, 32<<10, 0)
		return int(n), err
	})
}

func throughPipe(path string, move func(in, out int) (int, error)) (text string, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unix.Close(pipe[0])) }()
	buf := make([]byte, 64<<10)
	var all strings.Builder
	err = withOpen(path, func(fd int) error {
		for {
			n, err := retryFD(func() (int, error) { return move(fd, pipe[1]) })
			if errors.Is(err, unix.EINVAL) && all.Len() == 0 {
				// "Not for this file", sendfile(2) says; callers then go on with read(2).
				text, err := pass(fd, 4096)
				all.WriteString(text)
				return err
			}
			if err != nil || n == 0 {
				return err
			}
			for n > 0 {
				got, err := retryFD(func() (int, error) { return unix.Read(pipe[0], buf[:min(n, len(buf))]) })
				if err != nil {
					return err
				}
				all.Write(buf[:got])
				n -= got
			}
		}
	})
	return all.String(), errors.Join(err, unix.Close(pipe[1]))
}

// tools: programs that look at the size, seek, or read byte by byte.
func tools(s *Subject, file string) error {
	at := s.path(file)
	want, err := whole(at)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "procfs-shim-conformance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's directory for such things
	copied := filepath.Join(dir, "copy")
	var failed error
	for _, args := range [][]string{
		{"cat", at},
		{"head", "-c", "1000000", at},
		{"tail", "-n", "+1", at},
		{"tail", "-c", "+1", at},
		{"tail", "-n", "100000", at},
		{"dd", "bs=1", "if=" + at},
		{"dd", "bs=7", "if=" + at},
		{"dd", "bs=64k", "if=" + at},
		{"cp", at, copied},
		{"sed", "", at},
		{"grep", "", at},
		{"awk", "1", at},
		{"sh", "-c", "cat <" + at},
		{"sh", "-c", "while IFS= read -r l; do printf '%s\\n' \"$l\"; done <" + at},
		{"busybox", "cat", at},
		{"busybox", "tail", "-n", "100000", at},
		{"busybox", "head", "-n", "100000", at},
		{"busybox", "dd", "if=" + at},
		{"python3", "-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])", at, copied},
	} {
		got, err := output(args)
		if errors.Is(err, exec.ErrNotFound) {
			continue
		}
		if err == nil && args[len(args)-1] == copied {
			got, err = byReadFile(copied)
			err = errors.Join(err, os.Remove(copied))
		}
		if err == nil {
			err = sameShape(got, want)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%q: %w", args, err))
		}
	}
	for _, prefix := range [][]string{nil, {"busybox"}} {
		failed = errors.Join(failed, counted(at, len(want), prefix), lastLine(at, want, prefix))
	}
	return failed
}

// lastLine: tail(1) looks for lines from the end on if it thinks that it knows
// where that is.
func lastLine(at, want string, prefix []string) error {
	lines := strings.SplitAfter(strings.TrimSuffix(want, "\n"), "\n")
	got, err := output(append(prefix, "tail", "-n", "1", at))
	if errors.Is(err, exec.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = sameShape(strings.TrimSuffix(got, "\n"), lines[len(lines)-1])
	}
	if err != nil {
		return fmt.Errorf("%s tail -n 1: %w", prefix, err)
	}
	return nil
}

// counted: wc(1) trusts a size if there is one. A text may change its length
// by a digit or two from one read to the next.
func counted(at string, want int, prefix []string) error {
	got, err := output(append(prefix, "wc", "-c", at))
	if errors.Is(err, exec.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(strings.TrimSpace(got), " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < want-16 || n > want+16 {
		return fmt.Errorf("wc -c counts %q, the file has %d bytes", got, want)
	}
	return nil
}

// output runs a program and returns its standard output.
func output(args []string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // the programs above
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), nil
}
