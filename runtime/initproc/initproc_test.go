// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
)

func pair(t *testing.T) (*Conn, *Conn) {
	t.Helper()
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	other := NewConn(theirs)
	t.Cleanup(func() {
		_ = ours.Close()
		_ = other.Close()
	})
	return ours, other
}

func TestMessagesTravel(t *testing.T) {
	a, b := pair(t)
	umask := uint32(0o77)
	sent := Message{Kind: KindSetup, Setup: &Setup{
		Spec: &specs.Spec{
			Version: "1.3.0",
			// More than a socket's buffer holds.
			Process: &specs.Process{Env: []string{strings.Repeat("x", 3<<20)}, User: specs.User{Umask: &umask}},
		},
		Views:   []string{"/proc/meminfo"},
		Rlimits: []spawn.Rlimit{{Resource: 7, Rlimit: unix.Rlimit{Cur: 1, Max: unix.RLIM_INFINITY}}},
	}}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	failed := make(chan error, 1)
	go func() { failed <- a.Send(sent, w) }()
	got, files, err := b.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("message (-sent +received):\n%.2000s", diff)
	}
	if len(files) != 1 {
		t.Fatalf("%d descriptors", len(files))
	}
	if flags, err := unix.FcntlInt(files[0].Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("received descriptor has flags %d, %v, want close-on-exec", flags, err)
	}
	if _, err := files[0].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	_ = files[0].Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "through" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestEndOfConversation(t *testing.T) {
	a, b := pair(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v, want EOF", err)
	}
	if err := b.Send(Message{Kind: KindReady}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send to nobody: %v, want EPIPE", err)
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, text := range map[string]string{
		"half a length":   "\x01\x00",
		"half a message":  "\x10\x00\x00\x00{",
		"far too long":    "\xff\xff\xff\xff",
		"not JSON":        "\x02\x00\x00\x00{x",
		"another type":    "\x02\x00\x00\x0012",
		"nothing but JSO": "\x00\x00\x00\x00",
	} {
		a, b := pair(t)
		if _, err := a.file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		if m, _, err := b.Receive(); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestFailureKeepsErrno(t *testing.T) {
	f := failure(execError{fmt.Errorf("x: %w", unix.EACCES)})
	if !f.Exec || !errors.Is(f, unix.EACCES) || f.Error() != "x: permission denied" {
		t.Errorf("%+v", f)
	}
	f = failure(errors.New("no errno"))
	if f.Exec || f.Unwrap() != nil {
		t.Errorf("%+v", f)
	}
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a/run": 0o755, "a/data": 0o644, "b/data": 0o755, "b/only": 0o755, "c/locked": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	env := []string{"X=1", "PATH=" + strings.Join([]string{"/no", dir + "/a", dir + "/b", "c", ""}, ":"), "PATH=/else"}
	for name, want := range map[string]string{
		"run": dir + "/a/run", "only": dir + "/b/only", "data": dir + "/b/data", "./a/run": "./a/run", "a/run": "a/run",
	} {
		if got, err := lookPath(name, env); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]error{
		"": unix.ENOENT, "none": unix.ENOENT, "locked": unix.EACCES, "a/none": unix.ENOENT, "./a": unix.EACCES, "a/data": unix.EACCES,
		"a/run/x": unix.ENOTDIR,
	} {
		if got, err := lookPath(name, env); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v, want %v", name, got, err, want)
		}
	}
	if got, err := lookPath("sh", nil); err != nil || got != "/bin/sh" {
		t.Errorf("without PATH: %q, %v", got, err)
	}
}

func TestExitStatus(t *testing.T) {
	for status, want := range map[unix.WaitStatus]int{0: 0, 7 << 8: 7, 255 << 8: 255, 9: 137, 15: 143, 11 | 0x80: 139} {
		if got := ExitStatus(status); got != want {
			t.Errorf("wait status %#x: %d, want %d", status, got, want)
		}
	}
}

func TestReapOrderTravels(t *testing.T) {
	o := reapOrder{Path: "/bin/sh", Args: []string{"sh"}, Env: []string{"A=b"}, Tty: true}
	f, err := o.file()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readOrder(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, got); diff != "" {
		t.Error(diff)
	}
}
