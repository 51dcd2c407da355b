// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
)

// startControl serves a fake registry on a socket in a directory of its own.
func startControl(t *testing.T) (ctl *control, tree *fakeTree, dir string) {
	t.Helper()
	dir = t.TempDir()
	reg, tree := newFakeRegistry()
	ctl = newControl(slog.New(slog.DiscardHandler), reg)
	listener, err := listenControl(filepath.Join(dir, controlName))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ctl.serve(listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		listener.Close() //nolint:errcheck // a test may have closed it
		ctl.stop()
		wg.Wait()
	})
	return ctl, tree, dir
}

func dial(t *testing.T, dir string) *Client {
	t.Helper()
	client, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() }) //nolint:errcheck // a test may have closed it
	return client
}

func TestClientAndServer(t *testing.T) {
	_, tree, dir := startControl(t)
	client := dial(t, dir)
	r := Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(livingProcess(t))}
	got, err := client.Register(t.Context(), r)
	if err != nil || got.Dir != "/state/bound/dir-web" {
		t.Fatalf("register: %+v, %v", got, err)
	}
	list, err := client.List(t.Context())
	if err != nil || len(list) != 1 || !list[0].Cgroup.Equal(r.Cgroup) {
		t.Fatalf("list: %+v, %v", list, err)
	}
	r.Choices = policy.Choices{"memory-high": "true"}
	if again, err := client.Register(t.Context(), r); err != nil || again.Dir != got.Dir || !again.Policy.MemoryHigh {
		t.Errorf("register with another policy: %+v, %v", again, err)
	}
	var refused *Error
	r.Choices = policy.Choices{"memory-high": "maybe"}
	if _, err := client.Register(t.Context(), r); !errors.As(err, &refused) || refused.Code != wire.CodeInvalid {
		t.Errorf("register with a bad choice: %v", err)
	}
	r.Choices = nil
	for range 2 {
		if err := client.Unregister(t.Context(), "web"); err != nil {
			t.Errorf("unregister: %v", err)
		}
	}
	if list, err := client.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %+v, %v", list, err)
	}
	// What isn't owned outlives its connection.
	if _, err := client.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := dial(t, dir).List(t.Context()); err != nil || len(list) != 1 || tree.count() != 1 {
		t.Errorf("after the client's end: %+v, %v", list, err)
	}
}

func TestOwnedEndsWithItsConnection(t *testing.T) {
	_, tree, dir := startControl(t)
	for _, tt := range []struct {
		name string
		end  func(*Client) error
		dies bool
	}{
		{"closed", (*Client).Close, true},
		{"unregistered before", func(c *Client) error {
			return errors.Join(c.Unregister(context.Background(), "web"), c.Close())
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := livingProcess(t)
			client := dial(t, dir)
			start, err := process.Table{Root: "/proc"}.StartTime(pidOf(cmd))
			if err != nil {
				t.Fatal(err)
			}
			pid, err := process.Table{Root: "/proc"}.Open(pidOf(cmd), start)
			if err != nil {
				t.Fatal(err)
			}
			defer pid.Close()
			if _, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(cmd), Owned: true}); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(client); err != nil {
				t.Fatal(err)
			}
			limit := time.Second
			if !tt.dies {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if err := pid.Wait(ctx); (err == nil) != tt.dies {
				t.Errorf("wait for the init process: %v, should die: %v", err, tt.dies)
			}
			eventually(t, "the registration is gone", func() bool { return tree.count() == 0 })
		})
	}
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

// TestServersEndSparesContainers: a restarted server must not kill anybody.
func TestServersEndSparesContainers(t *testing.T) {
	ctl, _, dir := startControl(t)
	cmd := livingProcess(t)
	client := dial(t, dir)
	if _, err := client.Register(t.Context(), Registration{ID: "web", Cgroup: cgroupOf(t, "/web"), InitPID: pidOf(cmd), Owned: true}); err != nil {
		t.Fatal(err)
	}
	ctl.stop()
	if _, err := (process.Table{Root: "/proc"}).StartTime(pidOf(cmd)); err != nil {
		t.Errorf("the container's init: %v", err)
	}
	if _, err := client.List(t.Context()); err == nil {
		t.Error("a call after the server's end succeeds")
	}
}

// TestBadLines: each gets an error answer, and all but the last leave the
// connection usable.
func TestBadLines(t *testing.T) {
	_, _, dir := startControl(t)
	conn, err := net.Dial("unix", filepath.Join(dir, controlName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server closes it first
	answers := bufio.NewReader(conn)
	for _, line := range []string{"", "{", "hello", `{"n":5,"op":"dance"}`, `{"op":"register","registration":{"id":"../x","init_pid":1}}`, strings.Repeat("x", wire.MaxLine)} {
		if _, err := io.WriteString(conn, line+"\n"); err != nil {
			t.Fatal(err)
		}
		text, err := answers.ReadBytes('\n')
		if err != nil {
			t.Fatalf("no answer to %.40q: %v", line, err)
		}
		if a, err := wire.DecodeAnswer(text); err != nil || a.Error == nil {
			t.Errorf("answer to %.40q: %s", line, text)
		}
	}
	if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("after a line that is too long: %q, %v", rest, err)
	}
}

func TestSocketMode(t *testing.T) {
	_, _, dir := startControl(t)
	info, err := os.Stat(filepath.Join(dir, controlName))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
}

func TestDialWithoutServer(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	// What a killed server leaves.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, controlName)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("dead socket: %v", err)
	}
	again, err := listenControl(filepath.Join(dir, controlName))
	if err != nil {
		t.Fatalf("listen where a dead socket is: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionLimit(t *testing.T) {
	ctl, _, dir := startControl(t)
	ctl.mu.Lock()
	ctl.max = 1
	ctl.mu.Unlock()
	first := dial(t, dir)
	if _, err := first.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	var refused *Error
	if _, err := dial(t, dir).List(t.Context()); !errors.As(err, &refused) || refused.Code != wire.CodeFull {
		t.Errorf("second client: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a third client is let in", func() bool {
		_, err := dial(t, dir).List(t.Context())
		return err == nil
	})
}

// TestCallGivenUp: the connection, and with it an owned container, survives a
// call whose caller lost patience, and the late answer is not taken for the
// next one's.
func TestCallGivenUp(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close() //nolint:errcheck // end of the test
	client := newClient(ours)
	defer client.Close() //nolint:errcheck // end of the test
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("call without answer: %v", err)
	}
	if _, err := fmt.Fprintf(theirs, "%s\n%s\n", `{"n":1,"containers":[{"id":"late"}]}`, `{"n":2,"containers":[{"id":"right"}]}`); err != nil {
		t.Fatal(err)
	}
	list, err := client.List(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != "right" {
		t.Errorf("second call: %+v, %v", list, err)
	}
}

func TestCheckNamespace(t *testing.T) {
	if err := checkNamespace("/proc", os.Getpid()); err != nil {
		t.Errorf("own process: %v", err)
	}
	if err := checkNamespace("/proc", 0); codeOf(err) != wire.CodeDenied {
		t.Errorf("invisible process: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, err := lockStateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockStateDir(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockStateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // end of the test
	notifier(path, slog.New(slog.DiscardHandler))("READY=1")
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	notifier("", nil)("READY=1") // outside of a service manager: nothing
}

func TestBoundedLog(t *testing.T) {
	f, err := boundedLog()
	if err != nil {
		t.Fatal(err)
	}
	o := &Own{log: f}
	if _, err := f.WriteString("first\nlast\n"); err != nil {
		t.Fatal(err)
	}
	if got := o.Log(); got != "first\nlast\n" || lastLine(got) != "last" {
		t.Errorf("log: %q, last line %q", got, lastLine(got))
	}
	if n, err := f.Write(make([]byte, 2*logSize)); err == nil || n > logSize {
		t.Errorf("wrote %d bytes (%v) to a log of %d", n, err, logSize)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
