// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// probeLimit bounds the wait for a mount's answer to statfs(2).
const probeLimit = 3 * time.Second

// mountEntry is one line of /proc/self/mountinfo.
type mountEntry struct {
	device     string // major:minor of its file system
	mountpoint string
	fstype     string
}

// mountAt gives the uppermost mount on a path, without asking its file
// system anything. The path must be free of symbolic links.
func mountAt(procRoot, path string) (m mountEntry, found bool, err error) {
	text, err := os.ReadFile(filepath.Join(procRoot, "self/mountinfo"))
	if err != nil {
		return mountEntry{}, false, fmt.Errorf("mounts: %w", err)
	}
	for line := range bytes.Lines(text) {
		entry, err := parseMount(string(line))
		if err != nil {
			return mountEntry{}, false, fmt.Errorf("mounts: %w", err)
		}
		// Later mounts come later in the list.
		if entry.mountpoint == path {
			m, found = entry, true
		}
	}
	return m, found, nil
}

// parseMount reads a line of mountinfo (proc_pid_mountinfo(5)): "36 35 98:0
// /root /mount/point options optional… - type source superoptions".
func parseMount(line string) (mountEntry, error) {
	fields := strings.Fields(line)
	for i := 6; i+1 < len(fields); i++ {
		if fields[i] == "-" {
			return mountEntry{device: fields[2], mountpoint: unescape(fields[4]), fstype: fields[i+1]}, nil
		}
	}
	return mountEntry{}, fmt.Errorf("%.120q: not a line of mountinfo", line)
}

// unescape undoes what the kernel does to blanks, line feeds, backslashes and
// hash signs in mountinfo: a backslash and three octal digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && isOctal(s[i+2]) && isOctal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isOctal(c byte) bool { return '0' <= c && c <= '7' }

// isFUSE reports whether a file system is one that some process serves.
func (m mountEntry) isFUSE() bool {
	return m.fstype == "fuse" || strings.HasPrefix(m.fstype, "fuse.")
}

// prepareMountpoint makes path ready to be mounted on and returns it free of
// symbolic links: dead FUSE mounts on it are taken away, a live one is an
// error, the directory is made when it is missing, and must be empty.
func prepareMountpoint(procRoot, path string) (string, error) {
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
		m, found, err := mountAt(procRoot, path)
		if err != nil {
			return err
		}
		if !found || !m.isFUSE() {
			return nil
		}
		dead, err := isDead(path)
		if err != nil {
			return fmt.Errorf("%s: the %s mount there %w", path, m.fstype, err)
		}
		if !dead {
			return fmt.Errorf("%s: a live %s file system is mounted there; stop its server first, or name another directory", path, m.fstype)
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
