// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

// Host is what this machine has, as far as flags ask for it.
type Host struct {
	OnlineCPUs   cpulist.Set // --cpus may not ask for more
	Limits       cgroup.Host // controllers, swap accounting, I/O weights
	Capabilities []string    // those the kernel knows, "CAP_CHOWN" …
	Hostname     string      // taken over with --network host
	Workdir      string      // relative volumes start here
	TimeNS       bool        // the kernel has time namespaces
	// RecursiveReadOnly: mount_setattr(2) can make a mount and all below it
	// read-only (Linux 5.12).
	RecursiveReadOnly bool
	SELinux           bool // SELinux is on, so that volumes would need labels

	// BootClock reads CLOCK_BOOTTIME, which a time namespace starts anew.
	BootClock func() time.Duration
	// LookupEnv is the caller's environment, for --env NAME.
	LookupEnv func(name string) (string, bool)
	// SysRoot is where sysfs is mounted.
	SysRoot string
}

// ReadHost looks at the running kernel.
func ReadHost(procRoot, sysRoot string, layout *cgroupread.Layout) (Host, error) {
	h := Host{
		Limits:    cgroup.NewHost(layout),
		BootClock: bootClock,
		LookupEnv: os.LookupEnv,
		SysRoot:   sysRoot,
	}
	online := filepath.Join(sysRoot, "devices/system/cpu/online")
	text, err := os.ReadFile(online)
	if err != nil {
		return Host{}, fmt.Errorf("online CPUs: %w", err)
	}
	if h.OnlineCPUs, err = cpulist.Parse(string(text)); err != nil {
		return Host{}, fmt.Errorf("online CPUs: %s: %w", online, err)
	}
	known, err := capability.ListSupported()
	if err != nil {
		return Host{}, fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range known {
		h.Capabilities = append(h.Capabilities, capabilityName(c))
	}
	if h.Hostname, err = os.Hostname(); err != nil {
		return Host{}, fmt.Errorf("host name: %w", err)
	}
	if h.Workdir, err = os.Getwd(); err != nil {
		h.Workdir = "" // removed under us: only relative volumes need it
	}
	_, err = os.Lstat(filepath.Join(procRoot, "self/ns/time_for_children"))
	h.TimeNS = err == nil
	// The call fails with EBADF where it exists and ENOSYS where it doesn't.
	err = unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{})
	h.RecursiveReadOnly = !errors.Is(err, unix.ENOSYS)
	_, err = os.Lstat(filepath.Join(sysRoot, "fs/selinux/enforce"))
	h.SELinux = err == nil
	return h, nil
}

func bootClock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
