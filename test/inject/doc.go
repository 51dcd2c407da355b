// SPDX-License-Identifier: Apache-2.0

// Package inject makes a chosen system call of a program fail, or kills the
// program at it: not by luck, not by switches in the program, from outside.
//
// Run starts a command under a seccomp filter that hands the calls which change
// the machine (Kind lists them) to this process before the kernel executes
// them, seccomp_unotify(2). The filter is inherited, so the calls of all
// descendants are seen too, whatever namespaces they live in. They are counted
// in the order in which they arrive, over all processes. At the N-th one either
// the command's first process gets SIGKILL, or the call fails with an errno
// without being executed; every other call goes on.
//
//	plan := inject.Plan{At: 7, Action: inject.Errno(unix.ENOSPC)}
//	report, err := inject.Run(ctx, exec.Command("procfs-shim", "run", …), plan)
//
// A run with At 0 only counts. What happens between two counted calls is not
// seen: "killed at N" means after everything that the program did since call
// N−1 and before N. Programs whose processes work at the same time may order
// some calls differently from run to run; a sweep over every N meets all of
// them all the same, and ends at the first N that the program doesn't reach.
//
// The filter has to be installed by the process that then executes the command.
// That is the test binary itself, started once more: its TestMain calls Main
// first.
//
//	func TestMain(m *testing.M) { inject.Main(); m.Run() }
//
// Vocabulary: the root process is the command's first one; a tracee is the
// thread whose call waits for our answer.
//
// Linux ≥ 5.5, amd64 and arm64. Root isn't needed for programs that don't need
// it; for those that don't run as root, no_new_privs is set.
package inject
