// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
)

// tree makes files below a directory: "a/tasks" with "5\n".
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openTree(t *testing.T, dir string, unified bool) *Branch {
	t.Helper()
	b, err := NewCache(10).Tree(filepath.Dir(dir), "/", unified, true).Open("/" + filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// threads reads level 0's threads, sorted.
func threads(b *Branch, most int) (tids []int, complete bool, err error) {
	err = b.Once(func(p *Pass) { tids, complete = p.Threads(nil, most) })
	slices.Sort(tids)
	return tids, complete, err
}

func TestThreads(t *testing.T) {
	files := map[string]string{
		"tasks": "1\n2\n", "b/tasks": "3\n0\n", "b/c/tasks": "", "b/c/d/tasks": "4\n5\n", "e/tasks": "6\n",
		"no/children": "of a cgroup without threads' file\n",
	}
	b := openTree(t, tree(t, files), false)
	for most, want := range map[int][]int{6: {1, 2, 3, 4, 5, 6}, 1000: {1, 2, 3, 4, 5, 6}, 2: {1, 2}, 1: {1}, 0: nil} {
		tids, complete, err := threads(b, most)
		if err != nil || !slices.Equal(tids, want) || complete != (most >= 6) {
			t.Errorf("most %d: %v, %v, %v, want %v", most, tids, complete, err, want)
		}
	}
	// In the middle of the tree the order is that of the directories.
	if tids, complete, err := threads(b, 4); err != nil || len(tids) != 4 || complete {
		t.Errorf("most 4: %v, %v, %v", tids, complete, err)
	}
	v2 := openTree(t, tree(t, map[string]string{"cgroup.threads": "7\n", "tasks": "8\n", "x/cgroup.threads": "9\n"}), true)
	if tids, complete, err := threads(v2, 5); err != nil || !complete || !slices.Equal(tids, []int{7, 9}) {
		t.Errorf("v2: %v, %v, %v", tids, complete, err)
	}
}

// Links aren't followed, be they to a cgroup beside or a circle.
func TestThreadsLinks(t *testing.T) {
	beside := tree(t, map[string]string{"tasks": "66\n"})
	dir := tree(t, map[string]string{"tasks": "1\n", "a/tasks": "2\n"})
	for name, to := range map[string]string{"beside": beside, "a/up": "..", "a/self": "."} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if tids, complete, err := threads(openTree(t, dir, false), 100); err != nil || !complete || !slices.Equal(tids, []int{1, 2}) {
		t.Errorf("%v, %v, %v", tids, complete, err)
	}
}

func TestThreadsBounds(t *testing.T) {
	t.Run("directories", func(t *testing.T) {
		files := map[string]string{"tasks": "1\n"}
		for i := range mostDirectories {
			files[fmt.Sprintf("%d/cgroup.procs", i)] = ""
		}
		tids, complete, err := threads(openTree(t, tree(t, files), false), 100)
		if err != nil || complete || !slices.Equal(tids, []int{1}) {
			t.Errorf("%v, %v, %v, want what is there, incomplete", tids, complete, err)
		}
	})
	t.Run("names", func(t *testing.T) {
		// 255 bytes of each name: the queue is full before the count is.
		dir := tree(t, map[string]string{"tasks": "1\n"})
		var deep strings.Builder
		for range 3 {
			deep.WriteString(strings.Repeat("d", 255) + "/")
		}
		for i := range mostDirectoryBytes/(4*256) - 10 {
			if err := os.MkdirAll(filepath.Join(dir, deep.String(), fmt.Sprintf("%0255d", i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if tids, complete, err := threads(openTree(t, dir, false), 100); err != nil || !complete {
			t.Errorf("%v, %v, %v, want all", tids, complete, err)
		}
		for i := range 30 {
			if err := os.MkdirAll(filepath.Join(dir, deep.String(), fmt.Sprintf("%0254dx", i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if tids, complete, err := threads(openTree(t, dir, false), 100); err != nil || complete || !slices.Equal(tids, []int{1}) {
			t.Errorf("%v, %v, %v, want what is there, incomplete", tids, complete, err)
		}
	})
	t.Run("depth", func(t *testing.T) {
		// Deeper than a path can be long: made and removed step by step.
		dir := tree(t, map[string]string{"tasks": "1\n"})
		name := strings.Repeat("d", 250)
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := unix.Mkdirat(fd, name, 0o755); err != nil {
				t.Fatal(err)
			}
			next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_CLOEXEC, 0)
			_ = unix.Close(fd)
			if err != nil {
				t.Fatal(err)
			}
			fd = next
		}
		_ = unix.Close(fd)
		if tids, complete, err := threads(openTree(t, dir, false), 100); err != nil || complete || !slices.Equal(tids, []int{1}) {
			t.Errorf("%v, %v, %v, want what is there, incomplete", tids, complete, err)
		}
	})
	t.Run("a long file", func(t *testing.T) {
		line := "123456\n"
		b := openTree(t, tree(t, map[string]string{"tasks": strings.Repeat(line, maxFile/len(line)+10), "a/tasks": "5\n"}), false)
		if tids, complete, err := threads(b, 1<<30); err != nil || complete || len(tids) != maxFile/len(line) || tids[0] != 123456 {
			t.Errorf("%d threads, %v, %v, want %d, incomplete", len(tids), complete, err, maxFile/len(line))
		}
	})
}

func TestThreadsErrors(t *testing.T) {
	b := openTree(t, tree(t, map[string]string{"tasks": "1\n", "a/tasks": "2\nx\n"}), false)
	var pe *cgroupfile.ParseError
	if tids, complete, err := threads(b, 10); !errors.As(err, &pe) || complete || pe.Path != filepath.Join(b.own.dir(), "a/tasks") || pe.Line != 2 {
		t.Errorf("no number: %v, %v, %v", tids, complete, err)
	}
	b = openTree(t, tree(t, map[string]string{"tasks/x": "", "a/tasks": "2\n"}), false)
	if _, complete, err := threads(b, 10); !errors.Is(err, unix.EISDIR) || complete || !strings.Contains(err.Error(), b.own.dir()+"/tasks") {
		t.Errorf("a directory: %v, %v", complete, err)
	}
	// A cgroup that isn't there any more.
	dir := tree(t, map[string]string{"x/tasks": "1\n"})
	b = openTree(t, filepath.Join(dir, "x"), false)
	if err := os.RemoveAll(b.own.dir()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := threads(b, 10); !errors.Is(err, ErrGone) {
		t.Errorf("removed: %v, want ErrGone", err)
	}
	if _, err := b.own.tree.Open("/x"); !errors.Is(err, ErrGone) {
		t.Errorf("Open: %v, want ErrGone", err)
	}
}

// /a (the true root), /a/b, /a/b/c: level 0 is the last.
func TestLevels(t *testing.T) {
	dir := tree(t, map[string]string{"f": "root", "b/f": "one", "b/c/f": "zero"})
	for _, trueRoot := range []bool{true, false} {
		b, err := NewCache(10).Tree(dir, "/", true, trueRoot).Open("/b/c")
		if err != nil {
			t.Fatal(err)
		}
		var levels []*Level
		for i := range b.Levels() {
			levels = append(levels, b.Level(i))
		}
		if trueRoot != (b.Root() != nil) || trueRoot != (len(levels) == 2) {
			t.Fatalf("%d levels, root %v", len(levels), b.Root())
		}
		if trueRoot {
			levels = append(levels, b.Root())
		}
		var record Record
		var got []string
		err = b.Read(&record, func(p *Pass) {
			for i := range levels {
				got = append(got, string(p.Text(levels[i], "f")))
			}
			if p.Text(levels[1], "g") != nil {
				t.Error("a file that isn't there has a text")
			}
		})
		if err != nil || !slices.Equal(got, []string{"zero", "one", "root"}) {
			t.Errorf("%q, %v", got, err)
		}
		got = nil
		record.Each(func(path string, text []byte) { got = append(got, strings.TrimPrefix(path, dir)+"="+string(text)) })
		if want := []string{"/b/c/f=zero", "/b/f=one", "/f=root", "/b/g="}; !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A record doesn't keep what one large file took.
func TestRecordShrinks(t *testing.T) {
	b := openTree(t, tree(t, map[string]string{"f": strings.Repeat("x", 500<<10), "g": "y"}), true)
	var record Record
	for _, name := range []string{"f", "g"} {
		record.Reset()
		if err := b.Read(&record, func(p *Pass) { p.Text(b.Level(0), name) }); err != nil {
			t.Fatal(err)
		}
	}
	if cap(record.text) > 1<<10 {
		t.Errorf("%d bytes kept for a text of one", cap(record.text))
	}
}
