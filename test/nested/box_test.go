// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// patience is how long anything may take: most of the machine may be busy with
// other things, and emulated besides.
const patience = time.Minute

// box is a container made by hand.
type box struct {
	name    string
	pid     int // of its init process, as the host numbers it
	cmd     *exec.Cmd
	in      *json.Encoder
	replies chan reply
	errs    *strings.Builder // read it when replies is closed
}

// place is where a box is.
type place struct {
	cgroup *served.Cgroup
	// inside is the box whose namespaces it is made in.
	inside *box
	// podOf is the box whose PID namespace it shares.
	podOf *box
	// hostPID leaves it in the host's PID namespace.
	hostPID bool
	// users gives it a user namespace: its root is the host's user firstUser.
	users bool
}

// firstUser is the host's number of user 0 of a box with a user namespace, which
// has as many users as subordinate ids are given out by default.
const (
	firstUser = 100_000
	users     = 65_536
)

// newBox makes a box; it ends with the test.
func newBox(t *testing.T, name string, p place) *box {
	t.Helper()
	testenv.RequireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var command []string
	kind := ownProc
	if p.inside != nil {
		command = append(command, "nsenter", "--target", strconv.Itoa(p.inside.pid), "--pid", "--mount", "--")
	}
	switch {
	case p.podOf != nil:
		// Its /proc is the pod's: mounted by a member of the PID namespace.
		command = append(command, "nsenter", "--target", strconv.Itoa(p.podOf.pid), "--pid", "--", "unshare", "--mount", "--")
	case p.hostPID:
		command, kind = append(command, "unshare", "--mount", "--"), itsProc
	case !p.users:
		command = append(command, "unshare", "--pid", "--mount", "--fork", "--kill-child", "--")
	}
	if p.users {
		self = "/proc/self/exe" // the way to self may be closed to its root
	}
	command = append(command, self)
	b := &box{name: name, cmd: exec.Command(command[0], command[1:]...), replies: make(chan reply), errs: &strings.Builder{}}
	b.cmd.Env = append(os.Environ(), agentVariable+"="+kind)
	b.cmd.Stderr = b.errs
	if p.users {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstUser, Size: users}}
		b.cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
			UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
			Credential: &syscall.Credential{},
		}
	}
	in, err := b.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.in = json.NewEncoder(in)
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("box %s: %v", name, err)
	}
	go b.receive(out)
	t.Cleanup(func() {
		if p.hostPID {
			killAll(t, p.cgroup) // no namespace ends with its init process
		}
		b.end(t, in)
	})
	b.next(t, "its start")
	b.pid = lastChild(t, b.cmd.Process.Pid)
	p.cgroup.Join(b.pid)
	return b
}

func (b *box) receive(out io.Reader) {
	defer close(b.replies)
	for replies := json.NewDecoder(out); ; {
		var r reply
		if replies.Decode(&r) != nil {
			return // the box has ended
		}
		b.replies <- r
	}
}

// end ends the box and all that runs in it.
func (b *box) end(t *testing.T, in io.Closer) {
	t.Helper()
	_ = in.Close() // the agent's reason to end
	timer := time.AfterFunc(patience, func() {
		t.Errorf("box %s had to be killed", b.name)
		_ = unix.Kill(b.pid, unix.SIGKILL)
		_ = b.cmd.Process.Kill()
	})
	defer timer.Stop()
	for range b.replies { // a script that nobody waited for
	}
	if err := b.cmd.Wait(); err != nil {
		t.Errorf("box %s: %v: %s", b.name, err, b.errs)
	}
}

// killAll ends what the agent of a box started, in its cgroup.
func killAll(t *testing.T, cg *served.Cgroup) {
	t.Helper()
	text, err := os.ReadFile(cg.Procs()[0])
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid := int(number(t, word))
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.TrimSpace(string(name)) == "sh" {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
		}
	}
}

func (b *box) next(t *testing.T, what string) reply {
	t.Helper()
	select {
	case r, ok := <-b.replies:
		if !ok {
			t.Fatalf("box %s ended at %s", b.name, what)
		}
		return r
	case <-time.After(patience):
		t.Fatalf("box %s: no end within %v of %s", b.name, patience, what)
		return reply{}
	}
}

// try runs a script in the box and gives what it printed, and its status.
func (b *box) try(t *testing.T, script string) (output string, status int) {
	t.Helper()
	if err := b.in.Encode(script); err != nil {
		t.Fatalf("box %s: %s: %v", b.name, script, err)
	}
	r := b.next(t, script)
	return r.Output, r.Status
}

// ask is try for a script that must end well.
func (b *box) ask(t *testing.T, script string) string {
	t.Helper()
	output, status := b.try(t, script)
	if status != 0 {
		t.Fatalf("box %s: %s: exit status %d: %s", b.name, script, status, output)
	}
	return output
}

// read reads a file as a process of the box.
func (b *box) read(t *testing.T, path string) string {
	t.Helper()
	return b.ask(t, "cat "+path)
}

// joined is a script that runs another in a cgroup, as the box's engine would do
// it for a process of the box.
func joined(cg *served.Cgroup, script string) string {
	var b strings.Builder
	b.WriteString("( ")
	for _, file := range cg.Procs() {
		// 0 is the process that writes, whatever its namespace calls it.
		fmt.Fprintf(&b, "echo 0 >%s && ", file)
	}
	return b.String() + "exec sh -c '" + script + "' )"
}

// burn starts a burner in a cgroup; it ends with the box.
func (b *box) burn(t *testing.T, cg *served.Cgroup) {
	t.Helper()
	b.ask(t, joined(cg, "while :; do :; done")+" >/dev/null 2>&1 &")
}

// lastChild follows the first children of a process down to the last.
func lastChild(t *testing.T, pid int) int {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
		if err != nil {
			t.Fatal(err)
		}
		children := strings.Fields(string(text))
		if len(children) == 0 {
			return pid
		}
		if pid, err = strconv.Atoi(children[0]); err != nil {
			t.Fatal(err)
		}
	}
}
