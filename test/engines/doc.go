// SPDX-License-Identifier: Apache-2.0

// Package engines starts other people's container engines for end-to-end
// tests: a dockerd, a podman, a containerd and LXC, each with all of its state
// in a temporary directory and a root file system of busybox, so that no
// registry is needed and nothing of an engine on the host is touched.
//
//	docker := engines.StartDocker(t)
//	web := docker.Run(t, engines.Options{Name: "web", Memory: 200 << 20})
//	out := docker.Exec(t, web, "free", "-m")
//
// Everything is gone when the test ends: containers, daemons, mounts, and the
// cgroups that the engine made and would leave (docker, libpod_parent,
// lxc.pivot, …), unless they were there before. Processes are ended by PID.
// Tests that use it need root and run one package after the other, since the
// engines' cgroups have fixed names.
package engines
