// SPDX-License-Identifier: Apache-2.0

package spawn_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
)

// output runs a shell script and gives what it wrote, and its status.
func output(t *testing.T, c spawn.Command) (string, unix.WaitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	c.Files = append([]*os.File{os.Stdin, w, os.Stderr}, c.Files...)
	p, err := spawn.Start(c)
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return string(text), status
}

func shell(script string) spawn.Command {
	return spawn.Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "X=y z"}}
}

func TestArgumentsAndStatus(t *testing.T) {
	text, status := output(t, shell(`echo "$0 $X"; exit 42`))
	if text != "sh y z\n" || status.ExitStatus() != 42 {
		t.Errorf("wrote %q, exit status %d", text, status.ExitStatus())
	}
	if _, status := output(t, shell(`kill -TERM $$`)); !status.Signaled() || status.Signal() != unix.SIGTERM {
		t.Errorf("status %v, want killed by SIGTERM", status)
	}
}

func TestExecutableByDescriptor(t *testing.T) {
	f, err := os.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	c := shell("echo here")
	c.Path, c.Executable = "", f
	if text, _ := output(t, c); text != "here\n" {
		t.Errorf("wrote %q", text)
	}
}

// Nothing but the files asked for reaches the child, each at its place.
func TestDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := w.WriteString("through 3"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	c := shell(`for i in 0 1 2 3; do [ -e /proc/$$/fd/$i ] && echo -n "$i "; done; cat <&3`)
	c.Files = []*os.File{r}
	if text, _ := output(t, c); text != "0 1 2 3 through 3" {
		t.Errorf("descriptors of the child: %q", text)
	}
	want := inherited(t)
	c = shell(`exec ls /proc/self/fd`)
	text, _ := output(t, c)
	for fd := range strings.FieldsSeq(text) {
		// 3 is the directory that ls reads.
		if fd > "3" && !strings.Contains(want, " "+fd+" ") {
			t.Errorf("descriptor %s leaked into the child; those of the test without close-on-exec: %s", fd, want)
		}
	}
}

// inherited lists, between blanks, the test's own descriptors that have no
// close-on-exec flag: whoever started the test left them open.
func inherited(t *testing.T) string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	list := []string{""}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
			t.Fatal(err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, e.Name())
		}
	}
	return strings.Join(append(list, ""), " ")
}

func TestIgnoredAndBlockedSignalsAreReset(t *testing.T) {
	signal.Ignore(unix.SIGHUP, unix.SIGUSR2)
	defer signal.Reset(unix.SIGHUP, unix.SIGUSR2)
	text, _ := output(t, shell(`grep -E '^Sig(Ign|Blk)' /proc/self/status | cut -f 2`))
	if text != strings.Repeat("0000000000000000\n", 2) {
		t.Errorf("blocked and ignored signals of the child: %q", text)
	}
}

func TestSessionAndGroup(t *testing.T) {
	c := shell(`awk '{print ($1 == $6), ($1 == $5)}' /proc/$$/stat; read a b c d e f g </proc/$$/stat; [ $a = $e ] && [ $a = $f ] && echo both`)
	c.Session = true
	if text, _ := output(t, c); !strings.HasSuffix(text, "both\n") {
		t.Errorf("no session of its own: %q", text)
	}
	c = shell(`read a b c d e f g </proc/$$/stat; [ $a = $e ] && [ $a != $f ] && echo group`)
	c.Group = true
	if text, _ := output(t, c); text != "group\n" {
		t.Errorf("no process group of its own: %q", text)
	}
}

func TestRlimits(t *testing.T) {
	c := shell(`ulimit -S -n; ulimit -H -n; ulimit -c`)
	c.Rlimits = []spawn.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Rlimit: unix.Rlimit{Cur: 100, Max: 200}},
		{Resource: unix.RLIMIT_CORE},
	}
	if text, _ := output(t, c); text != "100\n200\n0\n" {
		t.Errorf("limits of the child: %q", text)
	}
}

func TestErrors(t *testing.T) {
	_, err := spawn.Start(spawn.Command{Path: "/no/such/program", Args: []string{"x"}})
	var step *spawn.StepError
	if !errors.Is(err, unix.ENOENT) || !errors.As(err, &step) || step.Step != "execve" {
		t.Errorf("missing program: %v, want execve: ENOENT", err)
	}
	if _, err := spawn.Start(spawn.Command{Path: "/etc/passwd", Args: []string{"x"}}); !errors.Is(err, unix.EACCES) {
		t.Errorf("program without execute permission: %v, want EACCES", err)
	}
	c := shell("true")
	c.Rlimits = []spawn.Rlimit{{Resource: 1000}}
	if _, err := spawn.Start(c); !errors.As(err, &step) || step.Step != "prlimit" {
		t.Errorf("unknown limit: %v, want an error at prlimit", err)
	}
	if _, err := spawn.Start(spawn.Command{Path: "a\x00b", Args: []string{"x"}}); err == nil {
		t.Error("zero byte in the path: no error")
	}
}

// Forks from many threads while the garbage collector runs.
func TestConcurrentStarts(t *testing.T) {
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				goruntime.GC()
			}
		}
	}()
	defer close(stop)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				p, err := spawn.Start(spawn.Command{Path: "/bin/true", Args: []string{"true"}, Session: true})
				if err != nil {
					t.Error(err)
					return
				}
				if status, err := p.Wait(); err != nil || status.ExitStatus() != 0 {
					t.Errorf("true ended with %v, %v", status, err)
				}
				_ = p.Close()
			}
		})
	}
	wg.Wait()
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		p, err := spawn.Start(spawn.Command{Path: "/bin/true", Args: []string{"true"}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			b.Fatal(err)
		}
		_ = p.Close()
	}
}
