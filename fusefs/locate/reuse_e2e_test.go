// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package locate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// insideVariable is set in the test's process that has a PID namespace to itself.
const insideVariable = "PROCFS_SHIM_TEST_LOCATE_INSIDE"

// TestNeverAnothers looks up readers in containers while they fork, move from cgroup
// to cgroup, end and are followed by others with the same number, at once with
// threads that look them up all the time. What the locator says, which remembers
// whatever it can, must be what one says that has just been made.
//
// Numbers are given again by will in a PID namespace of the test's own
// (/proc/sys/kernel/ns_last_pid), where it is the host.
func TestNeverAnothers(t *testing.T) {
	testenv.RequireRoot(t)
	if os.Getenv(insideVariable) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			t.Fatal(err)
		}
		for name, walks := range map[string]bool{"asks": false, "walks": true} {
			t.Run(name, func(t *testing.T) { neverAnothers(t, walks) })
		}
		return
	}
	testenv.NoLeaks(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNeverAnothers$", "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// A box is a container: an init process in a PID namespace, which starts and ends
// processes as it is told.
type box struct {
	t     *testing.T
	cmd   *exec.Cmd
	tell  io.WriteCloser
	hear  *bufio.Reader
	alive map[int]string // its processes but init, and what init calls them
}

// startBox starts a container whose processes stay in the cgroup in dir. Its init
// process gets the number pid if that is free, another if pid is 0.
func startBox(t *testing.T, dir string, pid int) *box {
	t.Helper()
	b := &box{t: t, alive: map[int]string{}}
	b.cmd = exec.Command("sh", "-c", `while read command; do eval "$command"; done`)
	b.cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	b.cmd.Stderr = os.Stderr
	var err error
	if b.tell, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.hear = bufio.NewReader(out)
	setNext(t, pid)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	moveTo(t, dir, b.cmd.Process.Pid)
	b.ask("echo up")
	return b
}

func (b *box) init() int { return b.cmd.Process.Pid }

// ask gives init a command and returns the line that it prints.
func (b *box) ask(command string) string {
	b.t.Helper()
	if _, err := fmt.Fprintln(b.tell, command); err != nil {
		b.t.Fatal(err)
	}
	line, err := b.hear.ReadString('\n')
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// fork starts a process in the box, with the number pid if that is free.
func (b *box) fork(pid int) int {
	b.t.Helper()
	setNext(b.t, pid)
	name := b.ask("sleep 600 >/dev/null & echo $!")
	for found := range children(b.t, b.init()) {
		if _, ok := b.alive[found]; !ok {
			b.alive[found] = name
			return found
		}
	}
	b.t.Fatal("the new process is not there")
	return 0
}

// end ends a process of the box.
func (b *box) end(pid int) {
	b.t.Helper()
	b.ask("kill -9 " + b.alive[pid] + "; wait " + b.alive[pid] + " 2>/dev/null; echo gone")
	delete(b.alive, pid)
}

// stop ends init and with it all.
func (b *box) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait() // "signal: killed"
}

func children(t *testing.T, pid int) map[int]bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{}
	for _, field := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		found[n] = true
	}
	return found
}

// setNext makes pid the next number that is given, if it is free. Nobody else
// starts processes here, and threads hardly begin.
func setNext(t *testing.T, pid int) {
	t.Helper()
	if pid == 0 {
		return
	}
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
		t.Fatal(err)
	}
}

func moveTo(t *testing.T, dir string, pid int) {
	t.Helper()
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// makeCgroups makes cgroups beside and below one another, in the hierarchy of a
// controller that counts.
func makeCgroups(t *testing.T, layout *cgroupread.Layout) (dirs []string) {
	t.Helper()
	h, err := layout.Hierarchy("memory")
	if err != nil {
		t.Fatal(err)
	}
	top := fmt.Sprintf("%s/procfs-shim-locate-%d", h.Mountpoint, time.Now().UnixNano())
	for _, name := range []string{"", "/a", "/a/init.scope", "/a/b", "/a/b/init.scope", "/c"} {
		dir := top + name
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				err := unix.Rmdir(dir)
				if err == nil {
					return
				}
				if time.Now().After(deadline) {
					t.Errorf("%s stays: %v", dir, err)
					return
				}
			}
		})
		dirs = append(dirs, dir)
	}
	return dirs
}

// expected are the places of readers, and a number that is odd while they change.
type expected struct {
	turn   atomic.Uint64
	mu     sync.Mutex
	places map[int]Place // none for numbers that nobody has
}

func (e *expected) of(pid int) (Place, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	place, ok := e.places[pid]
	return place, ok
}

func neverAnothers(t *testing.T, walks bool) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	dirs := makeCgroups(t, layout)
	now := atomic.Int64{}
	l := New("/proc", layout, Clock(func() time.Time { return time.Unix(0, now.Load()) }))
	defer l.Close()
	if !walks {
		testenv.RequireKernel(t, 6, 11, "the init process of a PID namespace")
		if l.walks {
			t.Fatal("the kernel is new enough, and isn't asked for a namespace's init process")
		}
	}
	l.walks = walks
	l.kept.most = 6 // of up to 12: some are always crowded out
	fresh := func(pid int) (Place, error) {
		one := New("/proc", layout)
		defer one.Close()
		one.walks = walks
		return one.Locate(uint32(pid))
	}

	random := rand.New(rand.NewPCG(3, 4))
	anyDir := func() string { return dirs[1+random.IntN(len(dirs)-1)] }
	var boxes [3]*box
	for i := range boxes {
		boxes[i] = startBox(t, anyDir(), 0)
		for range 3 {
			boxes[i].fork(0)
		}
	}
	defer func() {
		for _, b := range boxes {
			b.stop()
		}
	}()
	all := func() (pids []int) {
		for _, b := range boxes {
			pids = append(pids, b.init())
			for pid := range b.alive {
				pids = append(pids, pid)
			}
		}
		return pids
	}

	want := &expected{places: map[int]Place{}}
	numbers := map[int]bool{} // all that there ever were
	learn := func() {
		places := map[int]Place{}
		for _, pid := range all() {
			place, err := fresh(pid)
			if err != nil {
				t.Fatal(err)
			}
			places[pid] = place
			numbers[pid] = true
		}
		want.mu.Lock()
		defer want.mu.Unlock()
		want.places = places
	}
	check := func(pid int) {
		turn := want.turn.Load()
		expect, there := want.of(pid)
		got, err := l.Locate(uint32(pid))
		if turn%2 != 0 || want.turn.Load() != turn {
			return // something moved meanwhile
		}
		switch {
		case !there && !errors.Is(err, ErrNotVisible) && (err != nil || got.Init != 0): // the test's own threads have numbers too
			t.Errorf("no container has the number %d: %v, %v", pid, got, err)
		case there && (err != nil || !got.Cgroup.Equal(expect.Cgroup) || got.Init != expect.Init):
			t.Errorf("reader %d is located in %v, %v; want %v", pid, got, err, expect)
		}
	}
	learn()

	// All the time, one thread looks readers up: what it remembers is then of the
	// middle of a change.
	var ended atomic.Bool
	var lookers sync.WaitGroup
	defer lookers.Wait()
	defer ended.Store(true)
	lookers.Go(func() {
		for i := 0; !ended.Load(); i++ {
			want.mu.Lock()
			pids := make([]int, 0, len(want.places))
			for pid := range want.places {
				pids = append(pids, pid)
			}
			want.mu.Unlock()
			if len(pids) > 0 {
				check(pids[i%len(pids)])
			}
		}
	})

	reused := 0
	for range 150 {
		b := boxes[random.IntN(len(boxes))]
		pids := all()
		want.turn.Add(1)
		switch op := random.IntN(10); {
		case op < 4: // a process, perhaps init, moves
			pid := pids[random.IntN(len(pids))]
			moveTo(t, anyDir(), pid)
			if want.places[pid].Init == pid { // only of init may it be seen late
				now.Add(int64(maxAge))
			}
		case op < 8: // a process ends, and one in any container has its number
			for pid := range b.alive {
				b.end(pid)
				next := boxes[random.IntN(len(boxes))]
				if next.fork(pid) == pid {
					reused++
				}
				break
			}
			if len(b.alive) == 0 {
				b.fork(0)
			}
		default: // a container ends, and another one has the numbers of its processes
			init := b.init()
			was := []int{}
			for pid := range b.alive {
				was = append(was, pid)
			}
			b.stop()
			for i := range boxes {
				if boxes[i] == b {
					boxes[i] = startBox(t, anyDir(), init)
					now.Add(int64(maxAge)) // init moved
					if boxes[i].init() == init {
						reused++
					}
					for _, pid := range was {
						if boxes[i].fork(pid) == pid {
							reused++
						}
					}
				}
			}
		}
		learn()
		want.turn.Add(1)
		for pid := range numbers {
			check(pid)
		}
	}
	t.Logf("%d numbers were given again", reused)
	if reused < 100 {
		t.Errorf("only %d numbers were given again", reused)
	}
	ended.Store(true)
	lookers.Wait()
	l.Close()
	if n := openFiles(t, "/cgroup"); n != 0 {
		t.Errorf("%d files are open in the end", n)
	}
}
