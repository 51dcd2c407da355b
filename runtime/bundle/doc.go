// SPDX-License-Identifier: Apache-2.0

// Package bundle turns what somebody typed after `procfs-shim run` into an OCI
// configuration.
//
// What it turns into what: [Options], which hold the flags' values as they were
// written, and [Host], which says what this machine has, into a [specs.Spec].
// A flag that docker has means here what it means there: units, defaults, 0 as
// "no limit", which values are refused.
//
//	host, err := bundle.ReadHost("/proc", "/sys", layout)
//	err = options.Validate(host)             // every value, nothing made yet
//	spec, err := options.Spec(host, rootfs, merged)
//
// Validate reports the first value that is impossible, in conflict with another
// or more than the host has, as [*Error]: "--memory: 5m: …". Spec validates too
// and looks up the user in the container's own /etc/passwd and /etc/group.
//
// # What differs from docker
//
// Compared with the configuration that docker 20.10 gives to runc (a test holds
// the list, over a captured one):
//
//   - Namespaces: a cgroup and a time namespace besides.
//   - Masked paths: those of docker 28, which hides /proc/interrupts,
//     powercap and thermal_throttle too.
//   - Device rules: runc adds mknod of everything, /dev/full, pts and ptmx on
//     its own; here they are in the configuration.
//   - HOME is in the environment; runc adds it later.
//   - oomScoreAdj is not set, so that a caller's stays; setting it needs
//     CAP_SYS_RESOURCE where the caller's is higher.
//   - /etc/hosts, /etc/hostname and /etc/resolv.conf are the root file system's.
//   - No seccomp filter.
//   - Refused, where docker ignores it or fails late: a volume's missing source
//     (docker makes a directory), volumes without a source, numbers below -1,
//     an invalid host name, CPU shares and quotas that the kernel won't take, a
//     weight where no I/O scheduler has one.
//
// The package makes nothing, mounts nothing and keeps no state.
package bundle
