// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"strings"
	"testing"
)

const (
	idA = "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef"
	idB = "fedcba0987654321fedcba0987654321fedcba0987654321fedcba0987654321"
)

func knownPairs(namespace, id string) bool {
	return namespace == "default" && id == "redis" || namespace == "moby" && id == idB
}

func TestMatch(t *testing.T) {
	const pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7_1.slice"
	for _, c := range []struct{ path, engine, id, top string }{
		{"/docker/" + idA, Docker, idA, "/docker/" + idA},
		{"/docker/" + idA + "/init.scope", Docker, idA, "/docker/" + idA},
		{"/docker/" + idA + "/docker/" + idB, Docker, idA, "/docker/" + idA},
		{"/../docker/" + idA, Docker, idA, "/../docker/" + idA},
		{"/system.slice/docker-" + idA + ".scope", Docker, idA, "/system.slice/docker-" + idA + ".scope"},
		{"/system.slice/docker-" + idA + ".scope/system.slice/cron.service", Docker, idA, "/system.slice/docker-" + idA + ".scope"},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope", Docker, idA, "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope"},
		{"/libpod_parent/libpod-" + idA, Podman, idA, "/libpod_parent/libpod-" + idA},
		{"/machine.slice/libpod-" + idA + ".scope/container", Podman, idA, "/machine.slice/libpod-" + idA + ".scope"},
		{"/system.slice/web.service/libpod-payload-" + idA, Podman, idA, "/system.slice/web.service/libpod-payload-" + idA},
		{pod + "/cri-containerd-" + idA + ".scope", Containerd, idA, pod + "/cri-containerd-" + idA + ".scope"},
		{pod + "/crio-" + idA + ".scope", CRIO, idA, pod + "/crio-" + idA + ".scope"},
		{"/kubepods/burstable/pod7-1/crio-" + idA, CRIO, idA, "/kubepods/burstable/pod7-1/crio-" + idA},
		{"/kubepods/burstable/pod7-1/" + idA, "", idA, "/kubepods/burstable/pod7-1/" + idA},
		{"/own-parent/" + idA, "", idA, "/own-parent/" + idA},
		{"/system.slice/containerd.service/kubepods-pod7.slice:cri-containerd:" + idA, Containerd, idA, "/system.slice/containerd.service/kubepods-pod7.slice:cri-containerd:" + idA},
		{"/default/redis", Containerd, "redis", "/default/redis"},
		{"/default/redis/worker", Containerd, "redis", "/default/redis"},
		{"/moby/" + idB, Docker, idB, "/moby/" + idB},
		{"/lxc/u1", LXC, "u1", "/lxc/u1"},
		{"/lxc/101/ns/init.scope", LXC, "101", "/lxc/101"},
		{"/lxc.payload.web-1/init.scope", LXC, "web-1", "/lxc.payload.web-1"},
		{"/lxc.payload/u2/system.slice", LXC, "u2", "/lxc.payload/u2"},
		{"/procfs-shim/box", Shim, "box", "/procfs-shim/box"},
		{"/system.slice/procfs-shim-box.scope", Shim, "box", "/system.slice/procfs-shim-box.scope"},
	} {
		got, ok := match(c.path, knownPairs)
		if !ok || got.engine != c.engine || got.id != c.id || got.top != c.top {
			t.Errorf("%s: %+v, %v", c.path, got, ok)
		}
	}
}

func TestMatchLeavesTheHostAlone(t *testing.T) {
	for _, path := range []string{
		"/", "", "/..", "/init.scope", "/system.slice/docker.service", "/system.slice/containerd.service",
		"/system.slice/procfs-shim.service", "/system.slice/procfs-shim-web.service",
		"/docker", "/docker/", "/docker/short", "/docker/buildkit/9f1tmq2xz", "/" + idA,
		"/libpod_parent/conmon", "/libpod_parent/libpod-conmon-" + idA, "/machine.slice/libpod-conmon-" + idA + ".scope",
		"/machine.slice/crio-conmon-" + idA + ".scope", "/system.slice/docker-" + strings.ToUpper(idA) + ".scope",
		"/system.slice/docker-" + idA[1:] + ".scope", "/default/other", "/other/redis", "/system.slice/redis",
		"/lxc", "/lxc.payload", "/lxc.payload.", "/lxc.monitor/u1", "/lxc.monitor.u1", "/lxc.pivot",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-chromium-4242.scope", "/procfs-shim",
		"/kubepods/burstable/pod7-1", "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
	} {
		if got, ok := match(path, knownPairs); ok {
			t.Errorf("%q is taken for %+v", path, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("/docker/" + idA + "/x")
	f.Add("/lxc.payload.a/../b")
	f.Add("/default/redis")
	f.Add("a:docker:" + idA)
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := match("/"+path, knownPairs)
		if ok && (got.id == "" || !strings.HasPrefix("/"+path, got.top)) {
			t.Errorf("%q: %+v", path, got)
		}
	})
}
