// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Device is the number of a file system: the third field of mountinfo.
type Device struct{ Major, Minor uint32 }

func (d Device) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// DeviceOf returns the number of the file system that the open file (O_PATH
// is enough) lies on, without asking that file system.
func DeviceOf(f *os.File) (Device, error) {
	id, err := identify(int(f.Fd()))
	if err != nil {
		return Device{}, fmt.Errorf("device of %s: %w", f.Name(), err)
	}
	return id.dev, nil
}

// DevicesAt returns those of the file systems that are mounted at some paths, without
// asking them.
func DevicesAt(paths ...string) (devices []Device, err error) {
	for _, path := range paths {
		f, err := os.OpenFile(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("device of a mount: %w", err)
		}
		device, err := DeviceOf(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		devices = append(devices, device)
	}
	return devices, nil
}

// Mounted is one mount of ours in a container.
type Mounted struct {
	// Destination is the mount point as the process sees it.
	Destination string
	// Root is the file's path within the served file system.
	Root string
	// Device tells the served file system: a mount whose device isn't one of
	// the running server's own was left by a dead or older one. That is the only
	// way to tell without the risk of waiting for ever for a server that hangs.
	Device Device
	// Shared says that the file is of the shared tree, bound by an engine or
	// its user and not by this package.
	Shared bool
	// Covered says that something else is mounted over it.
	Covered bool
}

// Healthy tells whether the mount is visible and belongs to one of the file
// systems that are known to be served.
func (m Mounted) Healthy(served ...Device) bool {
	for _, d := range served {
		if d == m.Device {
			return !m.Covered
		}
	}
	return false
}

// List returns the mounts of ours that a process has, in the order in which
// they were made. procRoot is where the host's procfs is mounted ("/proc").
// A process that has ended gives ErrGone.
func List(procRoot string, pid int) ([]Mounted, error) {
	table, err := readTable(procRoot, pid)
	if err != nil {
		return nil, err
	}
	return listed(table, func(m *mountinfo.Info) bool { return m.FSType == FSType }), nil
}

// listed gives the mounts of one kind.
func listed(table []*mountinfo.Info, kind func(*mountinfo.Info) bool) []Mounted {
	var out []Mounted
	for _, m := range table {
		if !kind(m) {
			continue
		}
		out = append(out, Mounted{
			Destination: m.Mountpoint, Root: m.Root, Device: deviceOf(m), Shared: isShared(m),
			// Only a file's mount is always hidden by a mount upon it; a directory's may
			// have mounts somewhere below, and those have another mount point.
			Covered: hasChildAt(table, m),
		})
	}
	return out
}

func hasChildAt(table []*mountinfo.Info, m *mountinfo.Info) bool {
	for _, c := range table {
		if c.Parent == m.ID && c.Mountpoint == m.Mountpoint {
			return true
		}
	}
	return false
}

func readTable(procRoot string, pid int) ([]*mountinfo.Info, error) {
	name := filepath.Join(procRoot, strconv.Itoa(pid), "mountinfo")
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		var table []*mountinfo.Info
		if table, err = parseTable(f); err == nil {
			return table, nil
		}
	}
	// EINVAL: a zombie, which has no mount namespace any more.
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		err = ErrGone
	}
	return nil, fmt.Errorf("read the mounts of process %d: %w", pid, err)
}

// parseTable reads mountinfo to its end before it parses, so that few mounts
// can come and go between the kernel's portions.
func parseTable(f *os.File) ([]*mountinfo.Info, error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	table, err := mountinfo.GetMountsFromReader(bytes.NewReader(b), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return table, nil
}

func deviceOf(m *mountinfo.Info) Device {
	return Device{uint32(m.Major), uint32(m.Minor)} //nolint:gosec // device numbers are 32 bit
}

func isShared(m *mountinfo.Info) bool {
	return m.Root == "/" || strings.HasPrefix(m.Root, "/proc/") || strings.HasPrefix(m.Root, "/sys/")
}

// isOurs says whether m is a mount that this package placed.
func isOurs(m *mountinfo.Info) bool {
	return m != nil && m.FSType == FSType && !isShared(m)
}
