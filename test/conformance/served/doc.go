// SPDX-License-Identifier: Apache-2.0

// Package served runs, for tests, what reading a view takes: a server of all
// trees, readers in containers of sorts, and cgroups with limits.
//
//	test process ── requests on a pipe ──► server process: mounts and serves
//	     │    └──── requests on a pipe ──► reader process: in a PID namespace
//	     │ reads                            and cgroups of its own
//	     ▼
//	the mounts, in a mount namespace that dies with the tests
//
// Every process is this test binary again, told by its environment what to be;
// so a package that uses this one has
//
//	func TestMain(m *testing.M) { served.Main(m) }
//
// The server is a process of its own because a process that reads a mount
// which it serves itself can wait for itself, in a state that no signal ends.
// And the tests run in a private mount namespace, so that nothing stays mounted
// on the machine, whatever becomes of them.
package served
