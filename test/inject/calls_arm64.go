// SPDX-License-Identifier: Apache-2.0

package inject

import "golang.org/x/sys/unix"

// auditArch is what seccomp_data.arch says for native calls.
const auditArch = unix.AUDIT_ARCH_AARCH64

// legacy returns the calls that newer architectures don't have: none.
func legacy() []call { return nil }
