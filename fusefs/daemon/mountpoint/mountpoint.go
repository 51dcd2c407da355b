// SPDX-License-Identifier: Apache-2.0

// Package mountpoint puts a served tree on a directory and takes it off again.
//
// [Prepare] makes the directory ready: it is made if it is missing, FUSE mounts
// on it whose server is dead are taken away, one whose server lives is refused,
// and so is a directory with something in it. [Mount] then opens /dev/fuse,
// mounts, serves, and returns when the kernel's first request was answered; when
// any of that fails, nothing stays mounted. [Mounted.Unmount] is lazy, so that
// it waits for no request and for nobody who holds a file.
//
// Whatever might ask a server something happens in Prepare, before this
// process serves anything. Later only the kernel's list of mounts is read.
package mountpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// probeLimit bounds the wait for a mount's answer to statfs(2).
const probeLimit = 3 * time.Second

// at gives the uppermost mount on a path, nil when there is none, without
// asking its file system anything. The path must be free of symbolic links.
func at(procRoot, path string) (top *mountinfo.Info, err error) {
	f, err := os.Open(filepath.Join(procRoot, "self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("mounts: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	there, err := mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != path, false })
	if err != nil {
		return nil, fmt.Errorf("mounts: %w", err)
	}
	if len(there) == 0 {
		return nil, nil //nolint:nilnil // no mount is an answer
	}
	return there[len(there)-1], nil // later mounts come later
}

// isFUSE reports whether a file system is one that some process serves.
func isFUSE(m *mountinfo.Info) bool {
	return m.FSType == "fuse" || strings.HasPrefix(m.FSType, "fuse.")
}

// Prepare makes path ready to be mounted on and returns it free of symbolic
// links. procRoot is where the host's /proc is.
func Prepare(procRoot, path string) (string, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
		return "", fmt.Errorf("mountpoint %q: must be an absolute path other than /", path)
	}
	parent, name := filepath.Split(filepath.Clean(path))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("mountpoint %s: %w", path, err)
	}
	// Only the parent is resolved this way: to look at path itself could mean
	// to ask a dead server.
	parent, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return "", fmt.Errorf("mountpoint %s: %w", path, err)
	}
	path = filepath.Join(parent, name)
	if err := clearStale(procRoot, path); err != nil {
		return "", fmt.Errorf("mountpoint %w", err)
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("mountpoint: %w", err)
	}
	if err := checkEmpty(path); err != nil {
		return "", fmt.Errorf("mountpoint %s: %w", path, err)
	}
	return path, nil
}

// checkEmpty refuses what isn't a directory, and one whose content a mount
// would hide.
func checkEmpty(path string) error {
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return errors.New("is not a directory; if it is a symbolic link, name what it leads to")
	}
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(1)
	if closeErr := dir.Close(); closeErr != nil {
		return closeErr
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("has %q in it, which the mount would hide; name an empty directory", names[0])
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// clearStale takes away the FUSE mounts on path whose server is dead, and
// refuses a living one.
func clearStale(procRoot, path string) error {
	for {
		m, err := at(procRoot, path)
		if err != nil || m == nil || !isFUSE(m) {
			return err
		}
		dead, err := isDead(path)
		if err != nil {
			return fmt.Errorf("%s: the %s mount there %w", path, m.FSType, err)
		}
		if !dead {
			return fmt.Errorf("%s: a live %s file system is mounted there; stop its server first, or name another directory", path, m.FSType)
		}
		if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("%s: unmount what a dead server left: %w", path, err)
		}
	}
}

// errNoAnswer says that a FUSE server is there, but stopped or hanging.
var errNoAnswer = errors.New("doesn't answer; continue or end its server (if none is left, write 1 to its file abort below /sys/fs/fuse/connections)")

// isDead reports whether the server of the FUSE mount on path is gone. It
// asks with statfs(2), for which the kernel keeps no answers, unlike for
// stat(2).
func isDead(path string) (bool, error) {
	result := make(chan error, 1)
	go func() {
		var buf unix.Statfs_t
		result <- unix.Statfs(path, &buf)
	}()
	timer := time.NewTimer(probeLimit)
	defer timer.Stop()
	select {
	case err := <-result:
		// ENOTCONN: the device was closed or the connection aborted.
		// ECONNREFUSED: the server never came to answer INIT. ECONNABORTED:
		// it died while this request was in flight (fs/fuse/dev.c).
		return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ECONNABORTED), nil
	case <-timer.C:
		// The goroutine stays behind in the kernel; the caller gives up, and
		// the process ends.
		return false, errNoAnswer
	}
}
