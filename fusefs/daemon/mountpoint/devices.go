// SPDX-License-Identifier: Apache-2.0

package mountpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
)

// Devices are opened /dev/fuse that another process serves, to be mounted in
// directories beside one another.
//
// As long as one is open here, readers hang instead of getting ENOTCONN when that
// process dies; Mount and Close close them.
type Devices []device

type device struct {
	name string // of the directory
	file *os.File
}

// OpenDevices opens one for each directory.
func OpenDevices(names ...string) (d Devices, err error) {
	for _, name := range names {
		file, err := fusefs.OpenDevice()
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d = append(d, device{name, file})
	}
	return d, nil
}

// Files are the devices, in the order of their names.
func (d Devices) Files() []*os.File {
	var files []*os.File
	for _, one := range d {
		files = append(files, one.file)
	}
	return files
}

// Mount makes the directories in target, in the calling thread's mount namespace,
// and mounts the devices there. When it fails nothing is mounted.
func (d Devices) Mount(target string) error {
	for i, one := range d {
		at := filepath.Join(target, one.name)
		err := os.Mkdir(at, 0o700)
		if err == nil {
			err = fusefs.MountDevice(one.file, at)
		}
		if err != nil {
			return errors.Join(err, d[:i].Unmount(target))
		}
	}
	return d.Close()
}

// Unmount undoes Mount, but for the directories. Files that are held elsewhere stay.
func (d Devices) Unmount(target string) error {
	var failed error
	for _, one := range d {
		at := filepath.Join(target, one.name)
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			failed = errors.Join(failed, fmt.Errorf("unmount %s: %w", at, err))
		}
	}
	return failed
}

// Close closes them. Closing them again does nothing.
func (d Devices) Close() error {
	var failed error
	for _, one := range d {
		if err := one.file.Close(); !errors.Is(err, os.ErrClosed) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
