// SPDX-License-Identifier: Apache-2.0

package daemon

import "testing"

func TestConfigCheck(t *testing.T) {
	good := Config{Mountpoint: "/var/lib/procfs-shim", StateDir: "/run/procfs-shim", Proc: "/proc", Sys: "/sys"}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		bad    bool
	}{
		{"default", func(*Config) {}, false},
		{"mountpoint in the state directory", func(c *Config) { c.Mountpoint = "/run/procfs-shim/shared" }, false},
		{"names that only begin alike", func(c *Config) { c.StateDir = "/var/lib/procfs-shim-state" }, false},
		{"relative", func(c *Config) { c.StateDir = "run" }, true},
		{"no proc", func(c *Config) { c.Proc = "" }, true},
		{"state below the mount", func(c *Config) { c.StateDir = "/var/lib/procfs-shim/state" }, true},
		{"the same", func(c *Config) { c.StateDir = c.Mountpoint }, true},
		{"mount on the bound tree", func(c *Config) { c.Mountpoint = "/run/procfs-shim/bound" }, true},
		{"mount in the bound tree", func(c *Config) { c.Mountpoint = "/run/procfs-shim/bound/x" }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if err := c.check(); (err != nil) != tt.bad {
				t.Errorf("check: %v", err)
			}
		})
	}
}
