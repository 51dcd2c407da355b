// SPDX-License-Identifier: Apache-2.0

// Package testenv is what tests ask of the machine they run on, and what they
// may not leave on it.
//
// Three things live here:
//
//   - Gates. A test that needs root, FUSE, a cgroup layout or a program says so
//     by name: RequireRoot, RequireFUSE, RequireV1, RequireV2, RequireTool.
//     In a build with the tag e2e (or sweep, vm, vmslow), which is only made to
//     be run where everything is there, a missing ability is a failure: a suite
//     that silently skips what it was made for proves nothing. Without those
//     tags (an ordinary user's `go test ./...`) it is a skip that gives its
//     reason. What a host can't
//     have by its nature (v1 and v2 at once, a tool inside the test kernel's
//     guest) is a skip in both.
//   - Leak checks. NoLeaks compares the machine before and after a test:
//     mounts, the cgroups of procfs-shim, processes, descriptors, goroutines.
//     Exact comparison needs nothing else to run procfs-shim meanwhile, so
//     end-to-end tests run one package after the other (`go test -p 1`).
//   - Help with the program under test: Binary builds it, AbortFUSE ends a
//     FUSE connection whose readers hang.
//
// Only tests import this package. It is the one place that may call t.Skip.
package testenv
