// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nullfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// serveVariable makes this binary a server of the directory that it names.
const serveVariable = "PROCFS_SHIM_TEST_NULL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		if err := Run(dir, os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	m.Run()
}

func startHere(t *testing.T, dir string) (*Process, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), serveVariable+"="+dir)
	return Start(cmd)
}

// TestReads reads through the kernel, before there are files and after.
func TestReads(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	dir := t.TempDir()
	p, err := startHere(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "proc/meminfo")
	if _, err := os.ReadFile(at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there are files: %v", err)
	}
	long := strings.Repeat("0123456789abcdef", 20000) // more than one READ
	if err := p.Set(map[string]string{"proc/meminfo": "MemTotal: 1 kB\n", "proc/cpuinfo": long, "empty": ""}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"proc/meminfo": "MemTotal: 1 kB\n", "proc/cpuinfo": long, "empty": ""} {
		for range 3 {
			if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
				t.Errorf("%s: %d bytes, want %d; %v", file, len(got), len(want), err)
			}
		}
	}
	if err := os.WriteFile(at, nil, 0o644); err == nil {
		t.Error("it could be written to")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestEndsUnasked: no files ever come, or wrong ones.
func TestEndsUnasked(t *testing.T) {
	testenv.RequireFUSE(t)
	testenv.NoLeaks(t)
	p, err := startHere(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("without files: %v", err)
	}
	if p, err = startHere(t, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(map[string]string{"/x": ""}); err == nil {
		t.Error("a path from the root was taken")
	}
	if err := p.Close(); err == nil {
		t.Error("it ended well, having refused its files")
	}
	if _, err := startHere(t, "/no/such/directory"); err == nil {
		t.Error("it was mounted nowhere")
	}
}
