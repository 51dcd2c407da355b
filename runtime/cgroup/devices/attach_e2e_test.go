// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package devices

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// unified is where cgroup2 is mounted, with or without controllers.
func unified(t *testing.T) string {
	t.Helper()
	testenv.RequireRoot(t)
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err == nil {
			return dir
		}
	}
	testenv.RequireV2(t)
	return ""
}

// inside runs a shell command in the cgroup and returns its output and status.
func inside(t *testing.T, dir, command string) (string, error) {
	t.Helper()
	fd, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fd.Close() }()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAttach(t *testing.T) {
	dir := filepath.Join(unified(t), fmt.Sprintf("procfs-shim-devices-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	denied := func(when, command string, want bool) {
		t.Helper()
		out, err := inside(t, dir, command)
		if got := err != nil && strings.Contains(out, "Operation not permitted"); got != want || !want && err != nil {
			t.Errorf("%s: %s: %v: %s", when, command, err, out)
		}
	}
	denied("without rules", "cat /dev/zero | head -c 1 >/dev/null; mknod n c 1 3", false)

	rules := []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"},
		{Allow: true, Type: "c", Major: number(1), Minor: number(3), Access: "rwm"},
		{Allow: true, Type: "c", Major: number(1), Minor: number(9), Access: "r"},
	}
	for range 3 { // each takes the place of the one before
		if err := Attach(dir, rules); err != nil {
			t.Fatal(err)
		}
	}
	denied("allowed", "echo >/dev/null && head -c 1 /dev/urandom >/dev/null && mknod n c 7 7", false)
	denied("write only readable", "echo >/dev/urandom", true)
	denied("not allowed", "head -c 1 /dev/zero", true)
	denied("not allowed to make", "mknod b b 7 7", true)

	cgroup, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cgroup.Close() }()
	programs, err := attached(uint32(cgroup.Fd()))
	if err != nil || len(programs) != 1 {
		t.Errorf("after three calls %d programs, %v", len(programs), err)
	}
	closeAll(programs)

	if err := Attach(dir, nil); err != nil {
		t.Fatal(err)
	}
	denied("no rules any more", "head -c 1 /dev/zero >/dev/null && mknod b b 7 7", false)

	many := make([]specs.LinuxDeviceCgroup, 0, maxRules)
	for i := range maxRules {
		many = append(many, specs.LinuxDeviceCgroup{Type: "c", Major: number(int64(i + 1000)), Minor: number(1), Access: "r"})
	}
	if err := Attach(dir, many); err != nil {
		t.Errorf("%d rules: %v", len(many), err)
	}
	if err := Attach(filepath.Join(dir, "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Attach to nothing = %v", err)
	}
	if err := Attach(t.TempDir(), nil); err == nil {
		t.Error("Attach to an ordinary directory = nil")
	}
}
