// SPDX-License-Identifier: Apache-2.0

package inject

import "golang.org/x/sys/unix"

// auditArch is what seccomp_data.arch says for native calls.
const auditArch = unix.AUDIT_ARCH_X86_64

// legacy returns the calls that newer architectures don't have.
func legacy() []call {
	return []call{
		{unix.SYS_MKDIR, Mkdir, "mkdir", paths(0), nil},
		{unix.SYS_FORK, Clone, "fork", nil, nil},
		{unix.SYS_VFORK, Clone, "vfork", nil, nil},
		{unix.SYS_OPEN, Create, "open", paths(0), &condition{1, unix.O_CREAT, true}},
		{unix.SYS_CREAT, Create, "creat", paths(0), nil},
		{unix.SYS_MKNOD, Create, "mknod", paths(0), nil},
		{unix.SYS_SYMLINK, Create, "symlink", paths(0, 1), nil},
		{unix.SYS_LINK, Create, "link", paths(0, 1), nil},
		{unix.SYS_RENAME, Create, "rename", paths(0, 1), nil},
		{unix.SYS_UNLINK, Remove, "unlink", paths(0), nil},
		{unix.SYS_RMDIR, Remove, "rmdir", paths(0), nil},
	}
}
