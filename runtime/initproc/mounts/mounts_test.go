// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestParseOptions(t *testing.T) {
	const ro, nosuid, nodev, noexec = unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR_NOSUID, unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_NOEXEC
	for _, c := range []struct {
		kind string
		list string
		want options
	}{
		{"tmpfs", "nosuid strictatime mode=755 size=65536k", options{
			attrs: attributes{set: nosuid | unix.MOUNT_ATTR_STRICTATIME, clear: unix.MOUNT_ATTR__ATIME &^ unix.MOUNT_ATTR_STRICTATIME},
			data:  []string{"mode=755", "size=65536k"},
		}},
		{"sysfs", "nosuid noexec nodev ro", options{attrs: attributes{set: nosuid | noexec | nodev | ro}}},
		{"bind", "rbind rprivate", options{bind: true, recursive: true, propagation: unix.MS_PRIVATE | unix.MS_REC}},
		{"bind", "", options{bind: true}},
		{"", "bind ro slave", options{bind: true, attrs: attributes{set: ro}, propagation: unix.MS_SLAVE}},
		{"bind", "rbind rro rnosuid rdev", options{bind: true, recursive: true, below: attributes{set: ro | nosuid, clear: nodev}}},
		{"bind", "ro rw", options{bind: true, attrs: attributes{clear: ro}}},
		{"bind", "rw ro suid", options{bind: true, attrs: attributes{set: ro, clear: nosuid}}},
		{"bind", "relatime rrelatime", options{
			bind: true, attrs: attributes{clear: unix.MOUNT_ATTR__ATIME}, below: attributes{clear: unix.MOUNT_ATTR__ATIME},
		}},
		{"bind", "rbind bind", options{bind: true}},
		{"tmpfs", "defaults async size=1 rwx", options{data: []string{"size=1", "rwx"}}},
		{"tmpfs", "sync", options{data: []string{"sync"}}},
	} {
		got, err := parseOptions(specs.Mount{Type: c.kind, Options: strings.Fields(c.list)})
		if err != nil {
			t.Errorf("%s %q: %v", c.kind, c.list, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{}, attributes{})); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", c.kind, c.list, diff)
		}
	}
}

func TestCheckOptions(t *testing.T) {
	for _, m := range []specs.Mount{
		{Type: "bind", Source: "/a", Options: []string{"idmap"}},
		{Type: "bind", Source: "/a", UIDMappings: []specs.LinuxIDMapping{{Size: 1}}},
		{Type: "tmpfs", Options: []string{"tmpcopyup"}},
		{Type: "tmpfs", Options: []string{"size=\x00"}},
		{Type: "bind"},
		{Source: "/a"},
		{Type: "tmpfs", Options: []string{"remount"}},
	} {
		m.Destination = "/mnt"
		if err := CheckOptions(m); err == nil || !strings.HasPrefix(err.Error(), "mount /mnt: ") {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if err := CheckOptions(specs.Mount{Source: "/a", Options: []string{"rbind"}}); err != nil {
		t.Error(err)
	}
	for word, ok := range map[string]bool{"": true, "rslave": true, "private": true, "ro": false, "rprivat": false} {
		if err := CheckPropagation(word); (err == nil) != ok {
			t.Errorf("propagation %q: %v", word, err)
		}
	}
}

func TestCheckDevice(t *testing.T) {
	for _, d := range []specs.LinuxDevice{
		{Path: "/dev/a", Type: "c", Major: 1, Minor: 3},
		{Path: "/dev/a", Type: "u"},
		{Path: "/x", Type: "p", Major: -1},
		{Path: "/dev/sda", Type: "b", Major: 4095, Minor: 1<<20 - 1},
	} {
		if err := CheckDevice(d); err != nil {
			t.Error(err)
		}
	}
	for _, d := range []specs.LinuxDevice{
		{Path: "/dev/a", Type: "x"},
		{Path: "/dev/a"},
		{Type: "c"},
		{Path: "dev/a", Type: "c"},
		{Path: "/", Type: "c"},
		{Path: "/dev/a", Type: "c", Major: -1},
		{Path: "/dev/a", Type: "b", Major: 4096},
		{Path: "/dev/a", Type: "b", Minor: 1 << 20},
	} {
		if err := CheckDevice(d); err == nil {
			t.Errorf("%+v: no error", d)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":            "net/ipv4/ip_forward",
		"net/ipv4/ip_forward":            "net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.1/rp_filter": "net/ipv4/conf/eth0.1/rp_filter",
		"net.ipv4.conf.eth0/1.rp_filter": "net/ipv4/conf/eth0.1/rp_filter",
		"name":                           "name",
		"":                               "",
	} {
		if got := SysctlPath(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestDestinations(t *testing.T) {
	for dst, want := range map[string]string{"/a/../b": "/b", "a": "/a", "/../../a": "/a", "": "/", "//a//": "/a"} {
		if got := clean(dst); got != want {
			t.Errorf("%q: %q, want %q", dst, got, want)
		}
	}
}
