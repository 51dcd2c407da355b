// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func TestParse(t *testing.T) {
	text := `=== RUN   TestA
=== RUN   TestA/x
    a_test.go:1: said
--- PASS: TestA (0.10s)
    --- PASS: TestA/x (0.10s)
=== RUN   TestB
    b_test.go:2: bad
--- FAIL: TestB (0.00s)
FAIL

` + packageEnd + `one/two 1
=== RUN   TestC
    testenv: needs wings
--- SKIP: TestC (0.00s)
PASS

` + packageEnd + `three 0
`
	results, ended := parse(text)
	if ended["one/two"] != "1" || ended["three"] != "0" || len(ended) != 2 {
		t.Errorf("ends: %v", ended)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Package+" "+r.Test+" "+r.Outcome)
	}
	want := []string{"one/two TestA PASS", "one/two TestB FAIL", "three TestC SKIP"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(results[1].Output, "bad") || strings.Contains(results[1].Output, "said") {
		t.Errorf("the output of TestB: %q", results[1].Output)
	}
}

func TestReadPort(t *testing.T) {
	for _, c := range []struct {
		name, sent, text string
		status           int
		ended            bool
	}{
		{"lines", "a\nb\n" + trailer + "0\n", "a\nb\n", 0, true},
		{"no last newline", "a" + trailer + "3\n", "a", 3, true},
		{"died", "a\nb", "a\nb", 0, false},
		{"died at the end", "a\n" + trailer, "a\n", 0, false},
		{"nothing", "", "", 0, false},
	} {
		var lines []string
		out, ended, err := readPort(strings.NewReader(c.sent), func(line string) { lines = append(lines, line) })
		if err != nil || out.Text != c.text || out.Status != c.status || ended != c.ended {
			t.Errorf("%s: %q, status %d, ended %v: %v", c.name, out.Text, out.Status, ended, err)
		}
		if got := strings.Join(lines, "\n"); got != strings.TrimSuffix(c.text, "\n") {
			t.Errorf("%s: lines %q", c.name, lines)
		}
	}
}

// TestArchive has another program read the archive that the kernel will.
func TestArchive(t *testing.T) {
	busybox := testenv.RequireTool(t, "busybox")
	scratch := t.TempDir()
	big := strings.Repeat("0123456789abcdef", 1000) + "x"
	tree := filepath.Join(scratch, "tree", "below")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "big"), []byte(big), 0o640); err != nil {
		t.Fatal(err)
	}
	c := Config{Script: "true", Files: map[string]string{"/data/tree": filepath.Join(scratch, "tree")}}.withDefaults()
	file, err := writeInitramfs(c, machine{busybox: busybox, kernel: filepath.Join(scratch, "none"), scratch: scratch})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command(busybox, "cpio", "-t")
	list.Stdin = bytes.NewReader(archive)
	names, err := list.Output()
	if err != nil {
		t.Fatalf("cpio -t: %v", err)
	}
	for _, want := range []string{"init", "bin/busybox", "dev/console", "etc/script", "data/tree/below/big"} {
		if !slices.Contains(strings.Split(string(names), "\n"), want) {
			t.Errorf("no %s in the archive:\n%s", want, names)
		}
	}
	out := filepath.Join(scratch, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command(busybox, "cpio", "-i", "-d", "data/*")
	unpack.Dir, unpack.Stdin = out, bytes.NewReader(archive)
	if said, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("cpio -i: %v\n%s", err, said)
	}
	got, err := os.ReadFile(filepath.Join(out, "data/tree/below/big"))
	if err != nil || string(got) != big {
		t.Errorf("unpacked %d bytes of %d: %v", len(got), len(big), err)
	}
}

func TestMissingModuleIsLeftOut(t *testing.T) {
	order, err := resolve(t.TempDir(), []string{"built-in"})
	if err != nil || len(order) != 0 {
		t.Errorf("%v %v", order, err)
	}
}

func TestBadFiles(t *testing.T) {
	busybox := testenv.RequireTool(t, "busybox")
	for name, from := range map[string]string{"missing": "/no/such/file", "a device": "/dev/null"} {
		c := Config{Files: map[string]string{"/x": from}, Timeout: time.Second}.withDefaults()
		if _, err := writeInitramfs(c, machine{busybox: busybox, kernel: "/none", scratch: t.TempDir()}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
