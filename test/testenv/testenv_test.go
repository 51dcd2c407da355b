// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// recorder takes what a gate or a check says, so that the test of the gate
// neither ends nor fails.
type recorder struct {
	testing.TB
	fatal, skipped, failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Fatalf(f string, a ...any) { r.fatal = fmt.Sprintf(f, a...); panic(r) }
func (r *recorder) Skipf(f string, a ...any)  { r.skipped = fmt.Sprintf(f, a...); panic(r) }
func (r *recorder) Errorf(f string, a ...any) { r.failed += fmt.Sprintf(f, a...) + "\n" }

// at runs a gate with a recorder, which leaves it as a failing or skipping test
// would.
func at(t *testing.T, gate func(testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if left := recover(); left != nil && left != any(r) {
				panic(left)
			}
		}()
		gate(r)
	}()
	return r
}

func TestMissingTool(t *testing.T) {
	r := at(t, func(t testing.TB) { RequireTool(t, "no-such-tool-anywhere") })
	said := r.skipped
	if demanded && !InGuest() {
		said = r.fatal
	}
	if !strings.Contains(said, "no-such-tool-anywhere") {
		t.Errorf("a missing tool: failed %q, skipped %q", r.fatal, r.skipped)
	}
}

func TestRequireKernel(t *testing.T) {
	if r := at(t, func(t testing.TB) { RequireKernel(t, 2, 6, "epoll") }); r.fatal+r.skipped != "" {
		t.Errorf("Linux 2.6 is not there: %s%s", r.fatal, r.skipped)
	}
	if r := at(t, func(t testing.TB) { RequireKernel(t, 1000, 0, "wishes") }); !strings.Contains(r.skipped, "wishes needs Linux 1000.0") {
		t.Errorf("Linux 1000 wanted: failed %q, skipped %q", r.fatal, r.skipped)
	}
}

func TestLayoutIsKnown(t *testing.T) {
	layout, err := CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	if want := os.Getenv(GuestVariable); want != "" && layout != want {
		t.Errorf("the guest was booted with %s and is found to have %s", want, layout)
	}
	t.Log("cgroup layout:", layout)
}

// TestLeaksAreFound leaves one thing of each kind that an ordinary user can
// make, and expects exactly those.
func TestLeaksAreFound(t *testing.T) {
	before, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sh", "-c", "echo up; read -r line; : left-behind")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	// Once it has spoken, its command line is there to be read.
	if _, err := stdout.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	started := make(chan struct{})
	go func() { close(started); <-waiting }()
	<-started

	leaks, err := before.Since()
	if err != nil {
		t.Fatal(err)
	}
	report := Report(leaks)
	for _, want := range []string{"left-behind", "/status", "TestLeaksAreFound.func"} {
		if !strings.Contains(report, want) {
			t.Errorf("the leak %q is not among those found:\n%s", want, report)
		}
	}

	close(waiting)
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	if leaks, err := before.Settled(); err != nil || len(leaks) > 0 {
		t.Errorf("after all is gone: %v\n%s", err, Report(leaks))
	}
}

func TestProcessNames(t *testing.T) {
	for exe, want := range map[string]bool{
		"/src/bin/procfs-shim":          true,
		"/memfd:procfs-shim (deleted)":  true,
		"/usr/bin/sleep":                false,
		"/tmp/procfs-shim.test":         false,
		"":                              false,
		"/opt/procfs-shim-1.0/bin/tool": false,
	} {
		if got := isOurs(exe); got != want {
			t.Errorf("isOurs(%q) = %v", exe, got)
		}
	}
}

func TestMountinfoDevice(t *testing.T) {
	minor, at, ok := device("36 0:57 / /var/lib/procfs-shim ro,nosuid - fuse.procfs-shim procfs-shim ro")
	if minor != 57 || at != "/var/lib/procfs-shim" || !ok {
		t.Errorf("device: %d %q %v", minor, at, ok)
	}
	for _, bad := range []string{"", "36", "36 0:57 /", "36 0 / /mnt", "36 0:x / /mnt"} {
		if _, _, ok := device(bad); ok {
			t.Errorf("device(%q) was taken", bad)
		}
	}
	for line, want := range map[string]bool{
		"1 0:5 / /a rw - fuse.x y rw":     true,
		"1 0:5 / /a rw - fuse y rw":       true,
		"1 0:5 / /a rw - fuseblk y rw":    false,
		"1 0:5 / /fuse. rw - tmpfs t rw":  false,
		"1 0:5 / /a rw shared:1 - fuse x": true,
	} {
		if got := isFUSE(line); got != want {
			t.Errorf("isFUSE(%q) = %v", line, got)
		}
	}
}

func TestModuleRoot(t *testing.T) {
	if _, err := os.Stat(ModuleRoot(t) + "/go.mod"); err != nil {
		t.Error(err)
	}
}
