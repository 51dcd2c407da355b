// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// coverable says whether dst is one of the files below /proc that a config may
// mount over: those that LXCFS and procfs-shim serve and that engines bind with
// -v.
func coverable(dst string) bool {
	switch dst {
	case "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo",
		"/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime":
		return true
	}
	return false
}

// destination is an opened place for a mount.
type destination struct {
	*os.File
	stat unix.Stat_t
	made bool // it wasn't there before
}

func (d *destination) isDir() bool { return d.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// clean is a destination of the config as an absolute path; relative ones
// count from /.
func clean(dst string) string { return path.Clean("/" + dst) }

// isKernelDir says whether a destination must be a directory with no link on
// the way to it.
func isKernelDir(dst, fstype string) bool {
	return fstype == "proc" || fstype == "sysfs" || dst == "/proc" || dst == "/sys" || dst == "/dev"
}

// openDestination opens dst inside the root, or makes it: a directory, or an
// empty file where a file goes, and what is missing above it.
func (r *Root) openDestination(dst, fstype string, directory bool) (destination, error) {
	if dst == "/" {
		return destination{}, errors.New("the root itself can't be a mount's destination")
	}
	var (
		f    *os.File
		made bool
		err  error
	)
	if isKernelDir(dst, fstype) {
		f, made, err = r.openReal(dst)
	} else {
		f, made, err = r.openOrMake(dst, directory)
	}
	if err != nil {
		return destination{}, err
	}
	d := destination{File: f, made: made}
	if err := d.check(dst, fstype, directory); err != nil {
		_ = f.Close()
		return destination{}, err
	}
	return d, nil
}

func (d *destination) check(dst, fstype string, directory bool) error {
	if err := unix.Fstat(int(d.Fd()), &d.stat); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	switch {
	case directory && !d.isDir():
		return fmt.Errorf("a directory can't be mounted over what isn't one: %w", unix.ENOTDIR)
	case !directory && d.isDir():
		return fmt.Errorf("a file can't be mounted over a directory: %w", unix.EISDIR)
	}
	inside, err := isOn(d.File, unix.PROC_SUPER_MAGIC)
	if err != nil {
		return err
	}
	// dst is what the config says; where a link led to is what counts, and a
	// coverable file is named by its own path, not through a link.
	if inside && dst != "/proc" && fstype != "proc" && !coverable(dst) {
		return fmt.Errorf("it lies on procfs, where only single files of the view may be mounted over: %w", unix.EPERM)
	}
	return nil
}

// isOn says whether f lies on the file system with this magic number.
func isOn(f *os.File, magic int64) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false, fmt.Errorf("statfs: %w", err)
	}
	return st.Type == magic, nil
}

// openReal opens a directory that no symbolic link may lead to, or makes it.
func (r *Root) openReal(dst string) (f *os.File, made bool, err error) {
	open := func() (*os.File, error) {
		return r.openStrict(dst, unix.O_PATH|unix.O_DIRECTORY)
	}
	f, err = open()
	if errors.Is(err, unix.ENOENT) {
		dir, err := pathrs.MkdirAllHandle(r.dir, dst, 0o755)
		if err != nil {
			return nil, false, fmt.Errorf("make directory: %w", err)
		}
		_ = dir.Close()
		f, err = open()
		return f, true, err
	}
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil, false, fmt.Errorf("it must be a real directory, and no symbolic link on the way: %w", err)
	}
	return f, false, err
}

// openStrict opens a path below the root on which no link is followed.
func (r *Root) openStrict(dst string, flags uint64) (*os.File, error) {
	return openBelow(r.dir, dst[1:], flags, unix.RESOLVE_NO_SYMLINKS)
}

// openBelow is openat2(2) that never leaves dir; more are further RESOLVE_
// flags.
func openBelow(dir *os.File, name string, flags, more uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | more,
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		// EAGAIN: something was renamed meanwhile, openat2(2).
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

func (r *Root) openOrMake(dst string, directory bool) (f *os.File, made bool, err error) {
	f, err = pathrs.OpenatInRoot(r.dir, dst)
	if !errors.Is(err, os.ErrNotExist) {
		return f, false, err
	}
	if directory {
		f, err = pathrs.MkdirAllHandle(r.dir, dst, 0o755)
		if err != nil {
			return nil, false, fmt.Errorf("make directory: %w", err)
		}
		return f, true, nil
	}
	parent, err := pathrs.MkdirAllHandle(r.dir, path.Dir(dst), 0o755)
	if err != nil {
		return nil, false, fmt.Errorf("make directory: %w", err)
	}
	defer func() { _ = parent.Close() }()
	if err := makeFile(parent, path.Base(dst)); err != nil {
		return nil, false, err
	}
	f, err = openBelow(parent, path.Base(dst), unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	return f, true, err
}

// makeFile makes an empty file to be mounted over; one that is there is fine.
func makeFile(dir *os.File, name string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	return unix.Close(fd)
}
