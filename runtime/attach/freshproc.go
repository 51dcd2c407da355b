// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"strings"

	"github.com/moby/sys/mountinfo"
)

// FreshProc says whether the kernel would let somebody in a container who
// makes a nested user namespace (a rootless container inside) mount a procfs
// of his own there, as far as the container's mounts decide it.
type FreshProc struct {
	Now         bool // with everything that is mounted now
	WithoutOurs bool // were the files that Attach placed not there
}

// Lost says that it is our files that forbid it.
func (f FreshProc) Lost() bool { return f.WithoutOurs && !f.Now }

// ReadFreshProc reads it off the mounts of a process of the container. The
// kernel's rule is mount_too_revealing() in fs/namespace.c: the mount namespace
// must have a procfs that is mounted whole, writable (a read-only one allows
// only another read-only one), with nothing mounted over any part of it but
// over its directories that are always empty.
func ReadFreshProc(procRoot string, pid int) (FreshProc, error) {
	table, err := readTable(procRoot, pid)
	if err != nil {
		return FreshProc{}, err
	}
	return freshProc(table), nil
}

func freshProc(table []*mountinfo.Info) FreshProc {
	var f FreshProc
	for _, m := range table {
		if m.FSType != "proc" || m.Root != "/" || hasOption(m.Options, "ro") || hasOption(m.VFSOptions, "ro") {
			continue
		}
		now, without := true, true
		for _, over := range table {
			if over.Parent != m.ID || over.ID == m.ID || alwaysEmpty(strings.TrimPrefix(over.Mountpoint, m.Mountpoint)) {
				continue
			}
			now = false
			without = without && isOurs(over)
		}
		f.Now = f.Now || now
		f.WithoutOurs = f.WithoutOurs || without
	}
	return f
}

func hasOption(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}

// alwaysEmpty lists procfs's directories that are made to be mounted upon
// (proc_create_mount_point, register_sysctl_mount_point).
func alwaysEmpty(below string) bool {
	return below == "/fs/nfsd" || below == "/sys/fs/binfmt_misc" || below == "/openprom"
}
