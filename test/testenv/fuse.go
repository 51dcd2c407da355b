// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// abortScript ends FUSE connection $1. The control file system is mounted in a
// mount namespace of the script's own: many hosts don't have it mounted, and a
// test adds nothing to the host.
const abortScript = `mount -t fusectl none /sys/fs/fuse/connections && echo 1 >"/sys/fs/fuse/connections/$1/abort"`

// abortTime is the longest that aborting may take.
const abortTime = 10 * time.Second

// isFUSE says whether a line of mountinfo, less its first field, is that of a
// FUSE file system.
func isFUSE(mount string) bool {
	_, after, _ := strings.Cut(mount, " - ")
	return strings.HasPrefix(after, "fuse ") || strings.HasPrefix(after, "fuse.")
}

// Connection gives the number that the kernel's FUSE control file system knows
// a FUSE mount of this mount namespace by: the minor number of its device. It
// is taken from mountinfo, since a stat(2) of a dead mount may hang.
func Connection(mountpoint string) (int, error) {
	all, err := mounts()
	if err != nil {
		return 0, fmt.Errorf("testenv: fuse connection of %s: %w", mountpoint, err)
	}
	newest, connection := -1, 0
	for key, line := range all {
		id, err := strconv.Atoi(key)
		if err != nil || !isFUSE(line) || id < newest {
			continue
		}
		if number, at, ok := device(line); ok && at == mountpoint {
			newest, connection = id, number // the mount made last lies on top
		}
	}
	if newest < 0 {
		return 0, fmt.Errorf("testenv: fuse connection of %s: no FUSE mount there", mountpoint)
	}
	return connection, nil
}

// device takes the minor device number and the mountpoint from a line of
// mountinfo, less its first field: "PARENT MAJOR:MINOR ROOT MOUNTPOINT …".
func device(mount string) (minor int, mountpoint string, ok bool) {
	fields := strings.Fields(mount)
	if len(fields) < 4 {
		return 0, "", false
	}
	_, text, _ := strings.Cut(fields[1], ":")
	minor, err := strconv.Atoi(text)
	return minor, fields[3], err == nil
}

// AbortFUSE ends a FUSE connection: every request that waits gets ECONNABORTED,
// also those of readers in uninterruptible sleep, which neither SIGKILL nor a
// lazy unmount frees. Root only. An ended connection is not an error.
func AbortFUSE(connection int) error {
	ctx, cancel := context.WithTimeout(context.Background(), abortTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private",
		"sh", "-c", abortScript, "abort", strconv.Itoa(connection)).CombinedOutput()
	switch {
	case err == nil, strings.Contains(string(out), "nonexistent directory"), strings.Contains(string(out), "No such file"):
		return nil
	default:
		return fmt.Errorf("testenv: abort fuse connection %d: %w: %s", connection, err, strings.TrimSpace(string(out)))
	}
}

// abortMount aborts the FUSE mount with this id in mountinfo and detaches it.
func abortMount(id string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	line, there := all[id]
	if !there {
		return nil
	}
	connection, mountpoint, ok := device(line)
	if !ok {
		return fmt.Errorf("testenv: mount %s: %q is no line of mountinfo", id, line)
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortTime)
	defer cancel()
	failed := AbortFUSE(connection)
	if out, err := exec.CommandContext(ctx, "umount", "-l", mountpoint).CombinedOutput(); err != nil {
		failed = errors.Join(failed, fmt.Errorf("testenv: umount %s: %w: %s", mountpoint, err, out))
	}
	return failed
}

// AbortOnHang runs do, which reads through the FUSE mount at mountpoint, and
// fails the test when it takes longer than limit; the connection is aborted
// then, so that do comes back and the test can go on to its cleanups.
func AbortOnHang(t testing.TB, mountpoint string, limit time.Duration, do func()) {
	t.Helper()
	connection, err := Connection(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() {
		t.Errorf("testenv: readers of %s hang for %v; aborting the connection", mountpoint, limit)
		if err := AbortFUSE(connection); err != nil {
			t.Error(err)
		}
	})
	defer timer.Stop()
	do()
}
