// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The devices that every container has, config-linux.md "Default Devices".
//
//nolint:gochecknoglobals // a constant table
var defaultDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

// The links below /dev, runtime-linux.md "Dev symbolic links".
//
//nolint:gochecknoglobals // a constant table
var devLinks = []struct{ name, target string }{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"core", "/proc/kcore"},
	{"ptmx", "pts/ptmx"},
}

// deviceType is the file type (S_IF…) of a config's device type.
func deviceType(word string) (mode uint32, known bool) {
	switch word {
	case "c", "u":
		return unix.S_IFCHR, true
	case "b":
		return unix.S_IFBLK, true
	case "p":
		return unix.S_IFIFO, true
	}
	return 0, false
}

// CheckDevice says what is wrong with a config's device.
func CheckDevice(d specs.LinuxDevice) error {
	kind, ok := deviceType(d.Type)
	switch {
	case !ok:
		return fmt.Errorf("device %s: type %q is none of c, u, b, p", d.Path, d.Type)
	case d.Path == "" || d.Path[0] != '/' || clean(d.Path) == "/":
		return fmt.Errorf("device %q: not an absolute path", d.Path)
	case kind != unix.S_IFIFO && (d.Major < 0 || d.Minor < 0 || d.Major >= 1<<12 || d.Minor >= 1<<20):
		return fmt.Errorf("device %s: there is no device number %d:%d", d.Path, d.Major, d.Minor)
	}
	return nil
}

func (r *Root) devices() error {
	configured := map[string]bool{}
	for _, d := range r.plan.Spec.Linux.Devices {
		configured[clean(d.Path)] = true
		if err := r.device(d); err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
	}
	for _, d := range defaultDevices {
		if configured[d.Path] {
			continue
		}
		if err := r.device(d); err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
	}
	dev, _, err := r.openReal("/dev")
	if err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	defer func() { _ = dev.Close() }()
	for _, l := range devLinks {
		if err := unix.Symlinkat(l.target, int(dev.Fd()), l.name); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("link /dev/%s: %w", l.name, err)
		}
	}
	return nil
}

// device makes a device node. Where the kernel or the machine's owner doesn't
// let us (a user namespace, no CAP_MKNOD, a device cgroup), the host's own node
// of the same path and number is bind-mounted instead.
func (r *Root) device(d specs.LinuxDevice) error {
	dirname, name := split(clean(d.Path))
	var (
		dir *os.File
		err error
	)
	if dirname == "/dev" {
		dir, _, err = r.openReal(dirname)
	} else {
		dir, err = pathrs.MkdirAllHandle(r.dir, dirname, 0o755)
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	mode, _ := deviceType(d.Type) // checked before
	if d.FileMode != nil {
		mode |= uint32(*d.FileMode) & 0o7777
	} else {
		mode |= 0o666
	}
	number := uint64(0)
	if d.Type != "p" {
		number = unix.Mkdev(uint32(d.Major), uint32(d.Minor))
	}
	err = unix.Mknodat(int(dir.Fd()), name, mode, int(number))
	if errors.Is(err, unix.EPERM) && d.Type != "p" {
		return bindDevice(d, dir, name, mode, number)
	}
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("mknod: %w", err)
	}
	// What lies there now counts, whoever made it.
	node, err := openBelow(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	defer func() { _ = node.Close() }()
	if err := isDevice(node, mode, number); err != nil {
		return err
	}
	if made && (d.UID != nil || d.GID != nil) {
		uid, gid := -1, -1
		if d.UID != nil {
			uid = int(*d.UID)
		}
		if d.GID != nil {
			gid = int(*d.GID)
		}
		if err := unix.Fchownat(int(node.Fd()), "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	return nil
}

// isDevice checks type and number of what f has open.
func isDevice(f *os.File, mode uint32, number uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if st.Mode&unix.S_IFMT != mode&unix.S_IFMT || st.Rdev != number {
		return fmt.Errorf("something else is there: mode %o, device %d:%d",
			st.Mode, unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	return nil
}

func bindDevice(d specs.LinuxDevice, dir *os.File, name string, mode uint32, number uint64) error {
	mount, err := cloneTree(unix.AT_FDCWD, d.Path, false)
	if err != nil {
		return fmt.Errorf("mknod is not permitted, and the host's own can't be bound: %w", err)
	}
	defer func() { _ = mount.Close() }()
	if err := isDevice(mount, mode, number); err != nil {
		return fmt.Errorf("bind the host's: %w", err)
	}
	if err := makeFile(dir, name); err != nil {
		return err
	}
	target, err := openBelow(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	return moveTo(mount, target)
}
