// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMount(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       mountEntry
		bad        bool
	}{
		{"plain", "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n", mountEntry{"98:0", "/mnt2", "ext3"}, false},
		{"no optional field", "36 35 0:40 / /p ro - fuse.procfs-shim procfs-shim ro", mountEntry{"0:40", "/p", "fuse.procfs-shim"}, false},
		{"several", "36 35 0:40 / /p ro shared:1 master:2 unbindable - fuse x ro", mountEntry{"0:40", "/p", "fuse"}, false},
		{"escapes", `36 35 0:40 / /a\040b\134c\012\043 ro - tmpfs x rw`, mountEntry{"0:40", "/a b\\c\n#", "tmpfs"}, false},
		{"path like a separator", "36 35 0:40 - /p - - ext4 x rw", mountEntry{"0:40", "/p", "ext4"}, false},
		{"no escape", `36 35 0:40 / /a\04 ro - tmpfs x rw`, mountEntry{"0:40", `/a\04`, "tmpfs"}, false},
		{"empty", "", mountEntry{}, true},
		{"no separator", "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 ext3 /dev/root rw", mountEntry{}, true},
		{"cut", "36 35 98:0 /mnt1 /mnt2 rw,noatime -", mountEntry{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMount(tt.line)
			if (err != nil) != tt.bad || got != tt.want {
				t.Errorf("parseMount = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add(`36 35 0:40 / /a\040b\134c\012\043 ro - tmpfs x rw`)
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw")
	f.Fuzz(func(t *testing.T, line string) {
		if m, err := parseMount(line); err == nil && (m.device == "" || m.fstype == "") {
			t.Fatalf("%q gives %+v", line, m)
		}
	})
}

// fakeProc makes a /proc whose mountinfo is text.
func fakeProc(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "self/mountinfo"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestMountAt(t *testing.T) {
	proc := fakeProc(t, "1 0 8:1 / / rw - ext4 x rw\n2 1 0:40 / /p ro - fuse.a x ro\n3 2 0:41 / /p ro - fuse.b x ro\n4 1 0:42 / /p2 ro - fuse.c x ro\n")
	m, found, err := mountAt(proc, "/p")
	if err != nil || !found || m.device != "0:41" {
		t.Errorf("mountAt = %+v, %v, %v; want the upper one", m, found, err)
	}
	if _, found, err := mountAt(proc, "/p/q"); err != nil || found {
		t.Errorf("below a mount: %v, %v", found, err)
	}
}

func TestPrepareMountpoint(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"real", "real/full/x"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// A living file system (this directory's) under the name of a FUSE one.
	live := filepath.Join(dir, "real/live")
	proc := fakeProc(t, "1 0 8:1 / / rw - ext4 x rw\n2 1 0:40 / "+live+" ro - fuse.procfs-shim x ro\n")
	if err := os.Mkdir(live, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want, complaint string }{
		{"made", dir + "/a/b/c", dir + "/a/b/c", ""},
		{"there already", dir + "/a/b/c/", dir + "/a/b/c", ""},
		{"below a link", dir + "/link/new", dir + "/real/new", ""},
		{"a link", dir + "/link", "", "mountpoint"},
		{"a file", dir + "/file", "", "mountpoint"},
		{"not empty", dir + "/real/full", "", `has "x" in it`},
		{"relative", "a", "", "absolute"},
		{"root", "/../", "", "absolute"},
		{"live", live, "", "a live fuse.procfs-shim file system is mounted there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := prepareMountpoint(proc, tt.path)
			switch {
			case tt.complaint == "" && (err != nil || got != tt.want):
				t.Errorf("prepareMountpoint = %q, %v, want %q", got, err, tt.want)
			case tt.complaint != "" && (err == nil || !strings.Contains(err.Error(), tt.complaint)):
				t.Errorf("prepareMountpoint = %q, %v, want an error with %q", got, err, tt.complaint)
			}
		})
	}
}

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
