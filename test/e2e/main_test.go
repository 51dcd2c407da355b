// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// toolPath is where this binary is in a container that needs it.
const toolPath = "/e2e-tool"

// What it can be there: toolPath PART [ARG…].
const (
	partOpenMany = "open-many" // FILE COUNT: see openMany
	partHold     = "hold"      // BYTES: see hold
	partUser     = "user"      // prints the real and the effective user id
)

// shared is what all tests use and none changes.
var shared struct {
	dir     string // removed in the end
	binary  func(t *testing.T) string
	busybox func(t *testing.T) string
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case partOpenMany:
			os.Exit(tool(openMany(os.Args[2], os.Args[3])))
		case partUser:
			fmt.Println(os.Getuid(), os.Geteuid())
			return
		case partHold:
			os.Exit(tool(hold(os.Args[2])))
		}
	}
	dir, err := os.MkdirTemp("", "procfs-shim-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.dir = dir
	shared.binary = once(testenvBinary)
	shared.busybox = once(makeBox)
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// once makes what the first test that asks for it makes.
func once(f func(t *testing.T) string) func(t *testing.T) string {
	var do sync.Once
	var made string
	return func(t *testing.T) string {
		t.Helper()
		do.Do(func() { made = f(t) })
		if made == "" {
			t.Fatal("an earlier test could not make what this one needs")
		}
		return made
	}
}

func tool(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tool:", err)
		return 1
	}
	return 0
}

// openMany opens a file count times, reads the beginning from each descriptor
// and then waits, with all of them open, for a line on standard input.
func openMany(path, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	start := make([]byte, 9)
	for i := range n {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
		if got, err := unix.Pread(fd, start, 0); err != nil || string(start[:got]) != "MemTotal:" {
			return fmt.Errorf("descriptor %d: %q, %w", i, start[:got], err)
		}
	}
	fmt.Println("open", n)
	return waitForLine()
}

// hold uses so many bytes of memory until standard input has a line.
func hold(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	// Not the garbage collector's, so that it is exactly this much.
	memory, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	if err := waitForLine(); err != nil { // until we are in the right cgroup
		return err
	}
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	fmt.Println("holding", n)
	return waitForLine()
}

func waitForLine() error {
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func testenvBinary(t *testing.T) string {
	t.Helper()
	return testenv.Binary(t)
}

// box gives the root file system of busybox alone.
func box(t *testing.T) string {
	t.Helper()
	return shared.busybox(t)
}

func makeBox(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(shared.dir, "box")
	fillBox(t, dir)
	return dir
}

// fillBox makes a root file system of busybox in dir.
func fillBox(t *testing.T, dir string) {
	t.Helper()
	program := testenv.RequireTool(t, "busybox")
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", "etc", "tmp", "root", "home/app"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("bin/busybox", string(text), 0o755)
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0o644)
	put("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\nnogroup:x:65534:\n", 0o644)
	put("etc/no-program", "echo this has no #! line and no x bit\n", 0o644)
	list, err := exec.Command(program, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range fields(string(list)) {
		if name == "busybox" {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
}
