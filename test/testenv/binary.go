// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// BinaryVariable names the program under test, so that one build serves every
// test package; make sets it.
const BinaryVariable = "PROCFS_SHIM_BIN"

// Binary returns the absolute path of the program under test:
// $PROCFS_SHIM_BIN, else bin/procfs-shim below the module, brought up to date
// with `go build` (the build cache makes that cheap).
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(BinaryVariable); path != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatalf("testenv: %s: %v", BinaryVariable, err)
		}
		if err := unix.Access(absolute, unix.X_OK); err != nil {
			t.Fatalf("testenv: %s: %s: %v", BinaryVariable, absolute, err)
		}
		return absolute
	}
	path, err := buildProgram(ModuleRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildProgram builds cmd/procfs-shim as `make build` does. A lock keeps test
// processes of several packages from writing the file at once, or while another
// executes it for the first time (ETXTBSY).
func buildProgram(root string) (path string, err error) {
	dir := filepath.Join(root, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("testenv: build: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return "", fmt.Errorf("testenv: build: %w", err)
	}
	defer func() { _ = lock.Close() }() // nothing was written to it; closing unlocks
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("testenv: build: lock %s: %w", lock.Name(), err)
	}
	path = filepath.Join(dir, ours)
	build := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/procfs-shim")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("testenv: go build ./cmd/procfs-shim: %w\n%s", err, out)
	}
	return path, nil
}

// ModuleRoot returns the directory of go.mod, found upwards from the working
// directory, which `go test` makes that of the package.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("testenv: module root: %v", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module github.com/procfs-shim/procfs-shim\n") {
			return at
		}
		if at == filepath.Dir(at) {
			t.Fatalf("testenv: module root: no go.mod of procfs-shim at or above %s", dir)
		}
	}
}
