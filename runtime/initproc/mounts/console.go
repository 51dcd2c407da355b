// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// devptsMagic is DEVPTS_SUPER_MAGIC of linux/magic.h.
const devptsMagic = 0x1cd1

// Console opens a pseudo terminal of the container's own devpts at /dev/pts,
// mounts its slave over /dev/console, and returns both ends. size may be nil.
//
// Everything goes by descriptor: the master is opened in a directory that is
// checked to be a devpts, the slave comes from the master (TIOCGPTPEER, Linux
// 4.13), and what is mounted is that slave, not what a path leads to by then.
func (r *Root) Console(size *specs.Box, uid uint32) (master, slave *os.File, err error) {
	pts, err := r.openStrict("/dev/pts", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, nil, fmt.Errorf("/dev/pts: %w", err)
	}
	defer func() { _ = pts.Close() }()
	if ok, err := isOn(pts, devptsMagic); err != nil || !ok {
		return nil, nil, errors.Join(errors.New("/dev/pts: not a devpts, which a terminal needs"), err)
	}
	master, err = openBelow(pts, "ptmx", unix.O_RDWR|unix.O_NOCTTY, unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_XDEV)
	if err != nil {
		return nil, nil, fmt.Errorf("/dev/pts/ptmx: %w", err)
	}
	if slave, err = r.console(master, size, uid); err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

func (r *Root) console(master *os.File, size *specs.Box, uid uint32) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, fmt.Errorf("open the terminal's other end: %w", errno)
	}
	slave := os.NewFile(fd, "/dev/console")
	if err := r.mountConsole(slave, size, uid); err != nil {
		_ = slave.Close()
		return nil, err
	}
	return slave, nil
}

func (r *Root) mountConsole(slave *os.File, size *specs.Box, uid uint32) error {
	if size != nil {
		window := unix.Winsize{Row: uint16(min(size.Height, 0xffff)), Col: uint16(min(size.Width, 0xffff))}
		if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &window); err != nil {
			return fmt.Errorf("set the terminal's size: %w", err)
		}
	}
	// Programs reopen /dev/stdin and /dev/tty by name, as the container's user.
	if err := unix.Fchown(int(slave.Fd()), int(uid), -1); err != nil {
		return fmt.Errorf("set the terminal's owner: %w", err)
	}
	mount, err := cloneTree(int(slave.Fd()), "", false)
	if err != nil {
		return fmt.Errorf("/dev/console: %w", err)
	}
	defer func() { _ = mount.Close() }()
	dev, _, err := r.openReal("/dev")
	if err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	defer func() { _ = dev.Close() }()
	if err := makeFile(dev, "console"); err != nil {
		return fmt.Errorf("/dev/console: %w", err)
	}
	target, err := openBelow(dev, "console", unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return fmt.Errorf("/dev/console: %w", err)
	}
	defer func() { _ = target.Close() }()
	if err := moveTo(mount, target); err != nil {
		return fmt.Errorf("/dev/console: %w", err)
	}
	return nil
}
