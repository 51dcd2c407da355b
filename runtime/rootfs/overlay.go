// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay names the directories of one overlay mount. All paths are absolute.
type Overlay struct {
	// Lower are the read-only directories, the topmost first. At least one.
	Lower []string
	// Upper takes the changes and Work is the kernel's; both on one file
	// system and both writable.
	Upper, Work string
	// Target is where the merged tree appears.
	Target string
}

// The names below a container's layer directory.
const (
	upperName  = "upper"
	workName   = "work"
	mergedName = "merged"
)

// Layers returns the overlay of lower whose writable parts are dir/upper,
// dir/work and dir/merged. It makes nothing.
func Layers(dir string, lower ...string) Overlay {
	return Overlay{
		Lower:  lower,
		Upper:  filepath.Join(dir, upperName),
		Work:   filepath.Join(dir, workName),
		Target: filepath.Join(dir, mergedName),
	}
}

// Validate checks what can be known before anything is made: every path is
// absolute, and every lowerdir is a directory that can be opened.
func (o Overlay) Validate() error {
	if len(o.Lower) == 0 {
		return errors.New("root file system: no directory given")
	}
	for _, dir := range o.Lower {
		if err := checkPath("root file system", dir); err != nil {
			return err
		}
		fd, err := openDir(dir, unix.O_RDONLY)
		if err != nil {
			return fmt.Errorf("root file system: %s: %w", dir, err)
		}
		_ = unix.Close(fd)
	}
	for _, p := range []struct{ what, path string }{
		{"upperdir", o.Upper}, {"workdir", o.Work}, {"overlay target", o.Target},
	} {
		if err := checkPath(p.what, p.path); err != nil {
			return err
		}
	}
	return nil
}

func checkPath(what, path string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%s: %q: not an absolute path", what, path)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("%s: %q: contains a zero byte", what, path)
	}
	return nil
}

// Prepare makes Upper, Work and Target, and their parents, unless they are
// there already. Upper gets mode and owner of the topmost lowerdir, since the
// merged root shows those of the upperdir: without this "/" of the container
// would belong to whoever ran us, with a mode that depends on the umask.
// What it made before a failure stays, for [Remove].
func (o Overlay) Prepare() error {
	if err := o.Validate(); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(o.Lower[0], &st); err != nil {
		return fmt.Errorf("root file system: %s: %w", o.Lower[0], err)
	}
	for _, dir := range []string{o.Upper, o.Work, o.Target} {
		// 0711 would do for a container in a user namespace, but the layers of
		// ordinary ones are nobody's business: they can hold set-uid files.
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make layer: %w", err)
		}
	}
	if err := unix.Chown(o.Upper, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("make layer: %s: set owner: %w", o.Upper, err)
	}
	// After chown, which clears set-id bits.
	if err := unix.Chmod(o.Upper, st.Mode&0o7777); err != nil {
		return fmt.Errorf("make layer: %s: set mode: %w", o.Upper, err)
	}
	return nil
}

// Mount mounts the overlay at Target in the mount namespace of the calling
// thread, which stays locked to its goroutine while the namespace is its own.
// The directories exist ([Overlay.Prepare]). It needs CAP_SYS_ADMIN.
//
// Errors name the layer that is the likely cause; the kernel itself answers
// EINVAL to most and explains only in its log.
func (o Overlay) Mount() error {
	if err := o.Validate(); err != nil {
		return err
	}
	if err := o.checkUpper(); err != nil {
		return err
	}
	target, err := openDir(o.Target, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("mount overlay: %s: %w", o.Target, err)
	}
	defer func() { _ = unix.Close(target) }()

	data := options(o.Lower, o.Upper, o.Work)
	if len(data) >= os.Getpagesize() {
		// mount(2) takes one page of options. Descriptors name the same
		// directories in fewer bytes.
		short, done, err := o.byDescriptor()
		if err != nil {
			return err
		}
		defer done()
		if data = short; len(data) >= os.Getpagesize() {
			return fmt.Errorf("mount overlay: %s: %d lower directories are more than fit into one mount: %w",
				o.Target, len(o.Lower), unix.E2BIG)
		}
	}
	err = unix.Mount("overlay", fdPath(target), "overlay", 0, data)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("mount overlay: %s: lowerdir %s: upperdir %s: %w",
		o.Target, strings.Join(o.Lower, ", "), o.Upper, err)
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w (this kernel has no overlay file system; try modprobe overlay)", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w (the kernel's log says why: dmesg | tail)", err)
	}
	return err
}

// Unmount detaches the overlay from Target in the mount namespace of the
// calling thread. Nothing mounted there is no error.
func (o Overlay) Unmount() error {
	err := unix.Unmount(o.Target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("unmount overlay: %s: %w", o.Target, err)
}

// checkUpper turns the two usual causes of overlayfs's EINVAL into words.
func (o Overlay) checkUpper() error {
	var upper, work unix.Stat_t
	if err := unix.Lstat(o.Upper, &upper); err != nil {
		return fmt.Errorf("mount overlay: upperdir %s: %w", o.Upper, err)
	}
	if err := unix.Lstat(o.Work, &work); err != nil {
		return fmt.Errorf("mount overlay: workdir %s: %w", o.Work, err)
	}
	if upper.Dev != work.Dev {
		return fmt.Errorf("mount overlay: upperdir %s and workdir %s: on different file systems: %w",
			o.Upper, o.Work, unix.EXDEV)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(o.Upper, &fs); err != nil {
		return fmt.Errorf("mount overlay: upperdir %s: %w", o.Upper, err)
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("mount overlay: upperdir %s: is itself on an overlay, which cannot hold one "+
			"(give a data directory on ext4, xfs, btrfs or tmpfs): %w", o.Upper, unix.EINVAL)
	}
	return nil
}

// byDescriptor opens every directory and returns the options with their
// /proc/self/fd names; done closes the descriptors.
func (o Overlay) byDescriptor() (data string, done func(), err error) {
	var fds []int
	done = func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
	open := func(dir string) (string, error) {
		fd, err := openDir(dir, unix.O_PATH)
		if err != nil {
			return "", fmt.Errorf("mount overlay: %s: %w", dir, err)
		}
		fds = append(fds, fd)
		return fdPath(fd), nil
	}
	names := make([]string, 0, len(o.Lower)+2)
	for _, dir := range append(append([]string{}, o.Lower...), o.Upper, o.Work) {
		name, err := open(dir)
		if err != nil {
			done()
			return "", nil, err
		}
		names = append(names, name)
	}
	n := len(o.Lower)
	return options(names[:n], names[n], names[n+1]), done, nil
}

// options composes the mount options. index and metacopy are switched off by
// name because a distribution may build its kernel with them on: index makes a
// second mount of the same upperdir fail with EBUSY or ESTALE, and metacopy
// trusts attributes that a layer brought along (overlayfs.rst, "Metadata only
// copy up": not for untrusted layers).
func options(lower []string, upper, work string) string {
	escaped := make([]string, len(lower))
	for i, dir := range lower {
		escaped[i] = Escape(dir)
	}
	return "index=off,metacopy=off" +
		",lowerdir=" + strings.Join(escaped, ":") +
		",upperdir=" + Escape(upper) +
		",workdir=" + Escape(work)
}

// Escape writes path as a value in overlayfs's options: a backslash before
// each backslash, comma and colon. The kernel removes one level of it from
// lowerdir, upperdir and workdir alike (fs/overlayfs/params.c, ovl_unescape
// and ovl_next_opt; before 6.5 in super.c).
func Escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace(path)
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func openDir(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
