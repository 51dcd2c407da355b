// SPDX-License-Identifier: Apache-2.0

package mountpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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

func TestAt(t *testing.T) {
	proc := fakeProc(t, `1 0 8:1 / / rw - ext4 x rw
2 1 0:40 / /p ro - fuse.a x ro
3 2 0:41 / /p ro shared:1 master:2 - fuse.b x ro
4 1 0:42 / /p2 ro - fuse.c x ro
5 1 0:43 / /a\040b\134c ro - tmpfs x rw
`)
	for path, want := range map[string]int{"/p": 41, "/p2": 42, `/a b\c`: 43, "/p/q": -1} {
		got := -1
		m, err := at(proc, path)
		if m != nil {
			got = m.Minor
		}
		if err != nil || got != want {
			t.Errorf("at %s: device 0:%d, %v, want %d", path, got, err, want)
		}
	}
	if _, err := at(fakeProc(t, "not a line of mountinfo\n"), "/p"); err == nil {
		t.Error("nonsense was read")
	}
}

func TestPrepare(t *testing.T) {
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
		{"a link", dir + "/link", "", "is not a directory"},
		{"a file", dir + "/file", "", "is not a directory"},
		{"not empty", dir + "/real/full", "", `has "x" in it`},
		{"relative", "a", "", "absolute"},
		{"root", "/../", "", "absolute"},
		{"live", live, "", "a live fuse.procfs-shim file system is mounted there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Prepare(proc, tt.path)
			switch {
			case tt.complaint == "" && (err != nil || got != tt.want):
				t.Errorf("Prepare = %q, %v, want %q", got, err, tt.want)
			case tt.complaint != "" && (err == nil || !strings.Contains(err.Error(), tt.complaint)):
				t.Errorf("Prepare = %q, %v, want an error with %q", got, err, tt.complaint)
			}
		})
	}
}
