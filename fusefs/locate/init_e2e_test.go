// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package locate

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// startNamespace starts a process tree in a PID namespace of its own and
// returns the init process's PID, a great-grandchild's, and what ends them all.
func startNamespace(t testing.TB) (init, deep int, stop func()) {
	t.Helper()
	testenv.RequireRoot(t)
	// Each shell says its child's PID in the namespace, then waits for it.
	cmd := exec.Command("sh", "-c", "sh -c 'sh -c \"echo up; exec sleep 600\" & wait' & wait")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // the namespace's init: all in it end with it
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	deep = cmd.Process.Pid
	for {
		pid := strconv.Itoa(deep)
		children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(children), " ")
		next, err := strconv.Atoi(first)
		if err != nil {
			return cmd.Process.Pid, deep, stop
		}
		deep = next
	}
}

func TestFindsInit(t *testing.T) {
	l := newLocator(t)
	init, deep, _ := startNamespace(t)
	if deep == init {
		t.Fatal("the process tree has no depth")
	}
	reader, err := openTask(l.proc, deep)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	space, err := reader.namespace()
	if err != nil {
		t.Fatal(err)
	}
	if space == l.host {
		t.Fatal("the process is in this namespace")
	}
	for name, l := range ways(t, l) {
		found, err := l.openInit(reader, space)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if found.id != init {
			t.Errorf("%s: init is %d, want %d", name, found.id, init)
		}
		found.close()
	}
}

// A process that entered from outside has ancestors there only; the kernel
// knows the namespace's init all the same.
func TestEntrant(t *testing.T) {
	l := newLocator(t)
	init, _, _ := startNamespace(t)
	cmd := exec.Command(testenv.RequireTool(t, "nsenter"), "--pid", "--target", strconv.Itoa(init), "sh", "-c", "echo up; exec sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		t.Fatal(err)
	}
	entrant, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := openTask(l.proc, entrant)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	space, err := reader.namespace()
	if err != nil {
		t.Fatal(err)
	}
	if found, err := l.walkToInit(reader, space); !errors.Is(err, errNoInit) {
		t.Errorf("walked from an entrant to %d, %v", found.id, err)
	}
}

// A namespace without init: the look-up says so, and doesn't take the PID for
// another process's.
func TestInitEnded(t *testing.T) {
	l := newLocator(t)
	_, deep, stop := startNamespace(t)
	reader, err := openTask(l.proc, deep)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	space, err := openSpace(reader.dir, "ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	defer space.close()
	stop()
	if found, err := l.walkToInit(reader, space.namespace); !errors.Is(err, errNoInit) {
		t.Errorf("walked to %d, %v", found.id, err)
	}
	if found, err := l.askInit(space); !l.walks && !errors.Is(err, errNoInit) {
		t.Errorf("was told %d, %v", found.id, err)
	}
	if _, err := l.Locate(uint32(deep)); !errors.Is(err, ErrNotVisible) {
		t.Errorf("a reader that has ended is located: %v", err)
	}
}
