// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package locate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// newRealLocator understands this machine's cgroups.
func newRealLocator(tb testing.TB) *Locator {
	tb.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		tb.Fatal(err)
	}
	l := New("/proc", layout)
	tb.Cleanup(l.Close)
	return l
}

// memoryPath is where a thread is found to be in memory's hierarchy.
func memoryPath(t *testing.T, l *Locator, tid int) string {
	t.Helper()
	place, err := l.Locate(uint32(tid))
	if err != nil {
		t.Fatal(err)
	}
	path, _ := place.Cgroup.Path("memory")
	return path
}

// v1 moves single threads, and they end.
func TestThreadMoves(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireV1(t)
	l := newRealLocator(t)
	dirs := makeCgroups(t, l.layout)
	said, next, ended := make(chan int), make(chan bool), make(chan bool)
	var run func()
	run = func() {
		goruntime.LockOSThread() // its thread ends with it
		if unix.Gettid() == os.Getpid() {
			go run() // on another: the first one doesn't end
			<-ended
			goruntime.UnlockOSThread()
			return
		}
		defer close(ended)
		for _, dir := range dirs[:3] {
			if err := os.WriteFile(dir+"/tasks", []byte(strconv.Itoa(unix.Gettid())), 0); err != nil {
				t.Error(err)
			}
			said <- unix.Gettid()
			<-next
		}
	}
	go run()
	var tid int
	for _, dir := range dirs[:3] {
		tid = <-said
		if got := memoryPath(t, l, tid); !strings.HasSuffix(dir, got) || got == "/" {
			t.Errorf("the thread is in %s, found in %s", dir, got)
		}
		if got := memoryPath(t, l, os.Getpid()); strings.HasSuffix(dir, got) {
			t.Errorf("the process is found in %s, where only a thread of it is", got)
		}
		next <- true
	}
	<-ended
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := l.Locate(uint32(tid)); errors.Is(err, ErrNotVisible) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a thread that has ended is found")
		}
	}
}

// Of an init process whose first thread has ended, while others live, v1 says that
// it is in the root. Its container isn't shown the host.
func TestInitsFirstThreadEnded(t *testing.T) {
	testenv.RequireRoot(t)
	l := newRealLocator(t)
	dirs := makeCgroups(t, l.layout)
	const program = `import ctypes, subprocess, sys, threading, time
sys.stdin.readline()
def rest():
    subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    print("up", flush=True)
    time.sleep(600)
threading.Thread(target=rest).start()
ctypes.CDLL(None).pthread_exit(None)
`
	cmd := exec.Command(testenv.RequireTool(t, "python3"), "-c", program)
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	init := cmd.Process.Pid
	moveTo(t, dirs[1], init)
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", init))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("init's first thread lives: %s", stat)
		}
	}
	// The child was started by another thread than the first.
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", init))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", init, task.Name()))
		if err != nil {
			continue // the one that has ended
		}
		for _, field := range strings.Fields(string(text)) {
			reader, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			found++
			for range 2 {
				if got := memoryPath(t, l, reader); got == "/" || !strings.HasSuffix(dirs[1], got) {
					t.Errorf("a reader in %s is found in %s", dirs[1], got)
				}
			}
		}
	}
	if found == 0 {
		t.Error("the reader is not there")
	}
}

// BenchmarkReaders looks up a reader in a PID namespace of its own: one that reads
// all day, and one that is new each time.
//
//	go test -tags e2e -run '^$' -bench Readers -benchmem ./fusefs/locate
//
// docs/BENCHMARKS.md has what it said.
func BenchmarkReaders(b *testing.B) {
	init, deep, _ := startNamespace(b)
	for _, who := range []struct {
		name string
		pid  int
	}{{"host", os.Getpid()}, {"init", init}, {"reader", deep}} {
		b.Run(who.name+"/known", func(b *testing.B) {
			l := newRealLocator(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Locate(uint32(who.pid)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(who.name+"/unknown", func(b *testing.B) {
			l := newRealLocator(b)
			b.ReportAllocs()
			for b.Loop() {
				if t := l.kept.use(who.pid); t != nil {
					l.kept.forget(t)
					t.release()
				}
				if _, err := l.Locate(uint32(who.pid)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
