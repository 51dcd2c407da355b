// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package inject

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestCgroupWrites has a shell write limits to a cgroup of its own, through a
// mount that only the shell has, and expects these writes and no others.
func TestCgroupWrites(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	dir, file := "/sys/fs/cgroup/procfs-shim-inject", "memory.max"
	if layout != "v2" {
		dir, file = "/sys/fs/cgroup/memory/procfs-shim-inject", "memory.limit_in_bytes"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	script := fmt.Sprintf("busybox mount --bind %s %s && cd %[2]s && echo 64M >%s && echo 32M >%[3]s && echo text >/dev/null",
		dir, t.TempDir(), file)
	plan := Plan{Kinds: []Kind{CgroupWrite}}
	report, said := shell(t, "unshare -m busybox sh -c '"+script+"'", plan)
	if report.Total() != 2 || report.State.ExitCode() != 0 || !strings.Contains(report.Calls[1].What, "32M") {
		t.Errorf("%v %v\n%s", report.State, report.Calls, said)
	}

	plan.At, plan.Action = 2, Errno(unix.ENOSPC)
	report, said = shell(t, "unshare -m busybox sh -c '"+script+"'", plan)
	if !report.Hit || report.State.ExitCode() == 0 || !strings.Contains(said, "No space left") {
		t.Errorf("%v %v\n%s", report.State, report.Calls, said)
	}
	limit, err := os.ReadFile(dir + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(limit)); got != "67108864" {
		t.Errorf("the limit is %s: the second write was executed", got)
	}
}
