// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package attach

import "testing"

func TestFreshProc(t *testing.T) {
	setup(t)
	s := serve(t, FSType)
	nested := []string{"unshare", "-Urpf", "--mount-proc", "true"}
	for _, row := range []struct {
		name, script string
		before, lost bool
	}{
		{"nothing covered", "", true, true},
		{"masks", "mount --bind /dev/null /proc/keys", false, false},
		{"an empty directory covered", "mount -t tmpfs t /proc/sys/fs/binfmt_misc", true, true},
		{"read-only", "mount -o remount,bind,ro /proc", false, false},
		{"a second procfs", "mount -t tmpfs t /run; mkdir /run/p; mount -t proc proc /run/p", true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := startContainer(t, 0, row.script)
			check := func(want FreshProc) {
				t.Helper()
				got, err := ReadFreshProc("/proc", c.pid)
				if err != nil || got != want {
					t.Errorf("%+v, %v; want %+v", got, err, want)
				}
				out, err := c.in(nested...)
				if (err == nil) != want.Now {
					t.Errorf("the kernel: %v %s; want %v", err, out, want.Now)
				}
			}
			check(FreshProc{Now: row.before, WithoutOurs: row.before})
			mustAttach(t, c, s.trees(t, "meminfo"), "meminfo placed")
			check(FreshProc{Now: row.before && !row.lost, WithoutOurs: row.before})
		})
	}
}
