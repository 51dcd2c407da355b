// SPDX-License-Identifier: Apache-2.0

// Package e2e holds tests of the program as its user meets it: command lines
// in, output, exit status and what the machine looks like afterwards out. None
// of its packages is called; each test starts bin/procfs-shim with state and
// data directories of its own, as root, on whatever kind of host it finds
// (cgroup v1, hybrid or v2; package vm runs the same tests on a v2 host).
//
// Vocabulary:
//
//   - A [program] is one installation: the binary and its two directories.
//   - A result is a command that has ended: its output and its status.
//   - A process is a command that runs in the background.
//   - A shell is a container whose command is a shell that the test talks to:
//     ask runs a script in it and gives what it printed.
//   - The box is a root file system of busybox alone, shared by all tests; that
//     nobody writes to it is a test of its own.
//
// What busybox can't do inside a container does this test binary, which is
// mounted there and told by its arguments what to be (main_test.go). Such a
// container starts from the host's root, since the binary may need libraries.
//
// Whatever is waited for is polled with a deadline; no test sleeps for luck.
// Every test ends with testenv.NoLeaks, so these tests run one after the other.
package e2e
