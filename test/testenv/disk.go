// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a block device.
type Disk struct {
	Path   string // "/dev/vda"
	Number string // "254:0", as cgroups and /proc/diskstats write it
}

// RequireDisk returns a whole disk of this host. A machine without one, which
// has its root file system in memory or from the network, is a skip. Nothing
// may be written to it.
func RequireDisk(t testing.TB) Disk {
	t.Helper()
	const pattern = "/sys/block/*/dev"
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatalf("testenv: %s: %v", pattern, err)
	}
	for _, at := range found {
		name := filepath.Base(filepath.Dir(at))
		// Memory and files in disk's clothes have I/O paths of their own.
		if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") {
			continue
		}
		number, err := os.ReadFile(at)
		if err != nil {
			continue // removed meanwhile
		}
		path := "/dev/" + name
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeDevice != 0 {
			return Disk{path, strings.TrimSpace(string(number))}
		}
	}
	other(t, "needs a disk, and none of %s is one with a node in /dev", pattern)
	return Disk{}
}

// RequireDiskBelow returns the whole disk that a directory's files are on. A
// directory in memory or on a network is a skip, as is a file system that has
// more than one disk.
func RequireDiskBelow(t testing.TB, dir string) Disk {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		t.Fatalf("testenv: %s: %v", dir, err)
	}
	at := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))
	at, err := filepath.EvalSymlinks(at)
	if err != nil {
		other(t, "needs a directory on a disk: %s: %v", dir, err)
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err == nil {
		at = filepath.Dir(at)
	}
	number, err := os.ReadFile(filepath.Join(at, "dev"))
	if err != nil {
		t.Fatalf("testenv: the disk of %s: %v", dir, err)
	}
	return Disk{"/dev/" + filepath.Base(at), strings.TrimSpace(string(number))}
}
