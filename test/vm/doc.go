// SPDX-License-Identifier: Apache-2.0

// Package vm runs the program and its tests on another kernel: a distribution's
// Linux for virtual machines, booted in qemu. There the host is of any kind
// that a test asks for, cgroup v2, hybrid or v1, with any number of CPUs and
// any memory, whatever kind of host the tests themselves run on; and nothing
// that happens in it touches that host. Neither root nor KVM is needed: qemu
// emulates the CPUs (its TCG), and a boot takes some seconds.
//
// What boots is an initramfs that this package writes (initramfs.go): busybox,
// the kernel modules that are asked for, the static program, the caller's files
// and init.sh. init.sh moves everything onto a tmpfs and switches its root
// there, since pivot_root(2) refuses the initramfs as an old root; it mounts
// the cgroup hierarchies, runs the script and powers off.
//
// The machine has two serial ports. The kernel's console is the first, so that
// its messages never mix with the script's output, which is the second's whole
// traffic but for a last line with the exit status. Without that line the
// machine died, and Run's error quotes the console.
//
//	out := vm.Run(t, vm.Config{CPUs: 4, Script: "grep -c ^processor /proc/cpuinfo"})
//	// out.Text == "4\n"
//
// RunTests compiles test packages, runs them inside and reports each of their
// tests as a subtest here. Tests that need a distribution's tools have a root with
// them: Config.Root, which Tools makes, a disk in place of the tmpfs.
//
// The kernel comes from scripts/fetch-vm-kernel, which keeps it outside the
// clone. Only amd64 hosts have one.
package vm
