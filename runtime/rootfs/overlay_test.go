// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/plain/path", "/plain/path"},
		{"/a:b", `/a\:b`},
		{"/a,b", `/a\,b`},
		{`/a\b`, `/a\\b`},
		{`/a\:b`, `/a\\\:b`},
		{"/sp ace\n", "/sp ace\n"},
	} {
		if got := Escape(c.path); got != c.want {
			t.Errorf("Escape(%q) = %q, want %q", c.path, got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	got := options([]string{"/a:1", "/b"}, "/u,1", `/w\1`)
	want := `index=off,metacopy=off,lowerdir=/a\:1:/b,upperdir=/u\,1,workdir=/w\\1`
	if got != want {
		t.Errorf("options = %q, want %q", got, want)
	}
}

func TestLayers(t *testing.T) {
	o := Layers("/data/containers/x", "/")
	if o.Upper != "/data/containers/x/upper" || o.Work != "/data/containers/x/work" ||
		o.Target != "/data/containers/x/merged" || len(o.Lower) != 1 || o.Lower[0] != "/" {
		t.Errorf("Layers = %+v", o)
	}
}

func TestValidateRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Overlay
		want string
		is   error
	}{
		{"no lower", Layers(dir), "no directory given", nil},
		{"relative lower", Layers(dir, "root"), "not an absolute path", nil},
		{"zero byte", Layers(dir, dir+"\x00"), "zero byte", nil},
		{"missing lower", Layers(dir, dir+"/missing"), dir + "/missing", unix.ENOENT},
		{"lower is a file", Layers(dir, file), file, unix.ENOTDIR},
		{"relative upper", Overlay{Lower: []string{dir}, Upper: "u", Work: "/w", Target: "/t"}, "upperdir", nil},
		{"no target", Overlay{Lower: []string{dir}, Upper: "/u", Work: "/w"}, "overlay target", nil},
	} {
		err := c.o.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Validate = %v, want it to say %q", c.name, err, c.want)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: Validate = %v, want it to be %v", c.name, err, c.is)
		}
	}
}

func TestPrepareTakesModeOfLower(t *testing.T) {
	dir, lower := t.TempDir(), t.TempDir()
	if err := os.Chmod(lower, 0o751); err != nil {
		t.Fatal(err)
	}
	o := Layers(filepath.Join(dir, "c", "one"), lower)
	for range 2 { // a second time is fine
		if err := o.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(o.Upper)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o751 {
		t.Errorf("mode of upperdir = %v, want that of the lowerdir, 0751", st.Mode())
	}
}

func TestRemove(t *testing.T) {
	base := t.TempDir()
	keep := filepath.Join(base, "keep")
	if err := os.WriteFile(keep, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "layer")
	for _, d := range []string{"upper/a/b/c", "work/work", "merged"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 { // more than one readdir
		if err := os.WriteFile(filepath.Join(dir, "upper", "a", strings.Repeat("f", i%200+1)+string(rune('a'+i%26))), nil, 0o400); err != nil && !errors.Is(err, os.ErrPermission) {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(base, filepath.Join(dir, "upper", "a", "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(keep, filepath.Join(dir, "upper", "file-out")); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove the layer is still there: %v", err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Errorf("Remove followed a link: %v", err)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("Remove of what is gone = %v, want nil", err)
	}
	if err := Remove(filepath.Join(dir, "no", "parent")); err != nil {
		t.Errorf("Remove below what is gone = %v, want nil", err)
	}
	for _, bad := range []string{"", "/", "relative", "//"} {
		if err := Remove(bad); err == nil {
			t.Errorf("Remove(%q) = nil, want an error", bad)
		}
	}
}

// A directory deeper than PATH_MAX and than any sensible recursion, as a
// container can make it with mkdir and chdir.
func TestRemoveDeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layer")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := openDir(dir, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * maxDepth {
		for _, name := range []string{"d", "e"} {
			if err := unix.Mkdirat(fd, name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		next, err := openBelow(fd, "d")
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		fd = next
	}
	_ = unix.Close(fd)
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove the layer is still there: %v", err)
	}
}
