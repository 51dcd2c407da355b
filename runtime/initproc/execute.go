// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is searched where the environment has no PATH, like execvp(3).
const defaultPath = "/bin:/usr/bin"

// lookPath finds the program name in the calling process's root, with its
// rights: what the shell of that user would execute. ENOENT, or EACCES when
// something of that name was there that can't be executed.
func lookPath(name string, env []string) (string, error) {
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	path, given := defaultPath, false
	for _, v := range env {
		// The first one counts, as for getenv(3).
		if value, ok := strings.CutPrefix(v, "PATH="); ok && !given {
			path, given = value, true
		}
	}
	failed := error(unix.ENOENT)
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		candidate := filepath.Join(dir, name)
		if !strings.Contains(candidate, "/") {
			candidate = "./" + candidate
		}
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		if errors.Is(err, unix.EACCES) {
			failed = err
		}
	}
	if errors.Is(failed, unix.ENOENT) {
		return "", fmt.Errorf("not found in PATH (%s): %w", path, failed)
	}
	return "", failed
}

func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("not a regular file: %w", unix.EACCES)
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, 0)
}

// execute sets the limits and executes the command. RLIMIT_AS and the like can
// keep Go from growing from here on, so nothing but execve follows.
func (p *process) execute(path string) error {
	proc := p.spec.Process
	for _, r := range p.setup.Rlimits {
		// For RLIMIT_NOFILE this also tells package syscall that its own change
		// of the soft limit isn't to be taken back at execve.
		if err := unix.Prlimit(0, r.Resource, &r.Rlimit, nil); err != nil {
			return fmt.Errorf("rlimit %d: soft %d, hard %d: %w", r.Resource, r.Cur, r.Max, err)
		}
	}
	// Not a raw execve: package syscall waits until no thread is being made,
	// which the kernel would refuse in the middle of an execve.
	err := syscall.Exec(path, proc.Args, proc.Env) //nolint:gosec // that is its task
	return execError{fmt.Errorf("%s: %w", proc.Args[0], err)}
}

// executeReaper executes this program again, as PID 1 with the rights of the
// container, and hands it the command.
func (p *process) executeReaper(self *os.File, path string) error {
	order, err := reapOrder{
		Path:    path,
		Args:    p.spec.Process.Args,
		Env:     p.spec.Process.Env,
		Rlimits: p.setup.Rlimits,
		Tty:     p.spec.Process.Terminal,
	}.file()
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if err := inherit(p.conn.file, SocketFD); err != nil {
		return fmt.Errorf("init: descriptor %d: %w", SocketFD, err)
	}
	if err := inherit(order, orderFD); err != nil {
		return fmt.Errorf("init: descriptor %d: %w", orderFD, err)
	}
	// Go's threads are few by now and nothing starts more: see execute for why
	// that matters.
	err = execveat(self, []string{"procfs-shim", Command, reapArgument}, nil)
	return fmt.Errorf("init: execute the program again: %w", err)
}

// inherit puts a descriptor at a number and lets execve keep it.
func inherit(f *os.File, fd int) error {
	if int(f.Fd()) == fd {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
		return err
	}
	return unix.Dup3(int(f.Fd()), fd, 0)
}
