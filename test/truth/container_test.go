// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// patience is how long a tool may take beside its window: most of the machine
// may be busy with other things, and emulated besides.
const patience = 2 * time.Minute

// container is one of `procfs-shim run` that runs scripts for the test.
type container struct {
	name    string
	cgroup  cgroup
	run     *exec.Cmd
	errs    bytes.Buffer
	replies chan struct{} // closed when no more can come

	mu    sync.Mutex
	in    *json.Encoder
	last  int // the last request's ID
	waits map[int]chan reply
}

// start runs a container with these flags, from the root file system of whoever
// runs the test, and ends it with the test.
func start(t *testing.T, name string, flags ...string) *container {
	t.Helper()
	testenv.RequireFUSE(t)
	testenv.RequireOverlay(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{
		"run", "--state-dir", filepath.Join(dir, "state"), "--data-dir", filepath.Join(dir, "data"), "-i",
		"--name", name, "--rootfs", "/", "-e", "LC_ALL=C", "-e", "TZ=UTC", "-v", self + ":" + toolPath + ":ro",
	}
	args = append(append(args, flags...), "--", toolPath, partAgent)
	c := &container{name: name, cgroup: cgroupAt(t, "/procfs-shim/"+name), replies: make(chan struct{}), waits: map[int]chan reply{}}
	c.run = exec.Command(testenv.Binary(t), args...)
	c.run.Stderr = &c.errs
	in, err := c.run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in = json.NewEncoder(in)
	if err := c.run.Start(); err != nil {
		t.Fatal(err)
	}
	go c.dispatch(json.NewDecoder(out))
	t.Cleanup(func() {
		_ = in.Close() // its end is the agent's
		select {
		case <-c.replies:
		case <-time.After(patience):
			t.Errorf("container %s didn't end and had to be terminated", name)
			_ = c.run.Process.Signal(unix.SIGTERM)
		}
		if err := c.run.Wait(); err != nil {
			t.Errorf("container %s: %v: %s", name, err, c.errs.String())
		}
	})
	c.ask(t, ":") // it runs
	return c
}

// dispatch hands replies to those who wait for them.
func (c *container) dispatch(replies *json.Decoder) {
	defer close(c.replies)
	for {
		var r reply
		if replies.Decode(&r) != nil {
			return // the container has ended
		}
		c.mu.Lock()
		c.waits[r.ID] <- r // has room for it
		delete(c.waits, r.ID)
		c.mu.Unlock()
	}
}

// job is a script that runs in a container.
type job struct {
	c      *container
	id     int
	script string
	began  time.Time
	reply  chan reply
}

// begin starts a script.
func (c *container) begin(t *testing.T, script string) *job {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	j := &job{c, c.last, script, time.Now(), make(chan reply, 1)}
	c.waits[j.id] = j.reply
	c.send(t, request{j.id, script})
	return j
}

func (c *container) send(t *testing.T, r request) {
	t.Helper()
	if err := c.in.Encode(r); err != nil {
		t.Fatalf("container %s: %v", c.name, err)
	}
}

// output waits for the script's end, which must be a good one, and gives what it
// printed and when that was here.
func (j *job) output(t *testing.T) (text string, ended time.Time) {
	t.Helper()
	r := j.wait(t)
	ended = time.Now()
	if r.Status != 0 {
		t.Fatalf("in %s: %s: exit status %d\n%s", j.c.name, j.script, r.Status, r.Output)
	}
	return r.Output, ended
}

func (j *job) wait(t *testing.T) reply {
	t.Helper()
	select {
	case r := <-j.reply:
		return r
	case <-j.c.replies:
		t.Fatalf("container %s ended in the middle of %s", j.c.name, j.script)
	case <-time.After(patience):
		t.Fatalf("in %s: %s: no end after %v", j.c.name, j.script, patience)
	}
	return reply{}
}

// kill ends the script and all that it started.
func (j *job) kill(t *testing.T) {
	t.Helper()
	j.c.mu.Lock()
	j.c.send(t, request{ID: j.id})
	j.c.mu.Unlock()
	j.wait(t)
}

// ask runs a script, which must end well, and gives what it printed.
func (c *container) ask(t *testing.T, script string) string {
	t.Helper()
	text, _ := c.begin(t, script).output(t)
	return text
}

// burn starts burners of together this percentage of one CPU, and waits until
// they are at it.
func (c *container) burn(t *testing.T, percent int) []*job {
	t.Helper()
	var burners []*job
	before := must(c.cgroup.cpu())(t)
	for left := percent; left > 0; left -= 100 {
		burners = append(burners, c.begin(t, fmt.Sprintf("exec %s %s %d", toolPath, partBurn, min(left, 100))))
	}
	until(t, "the burners of "+c.name+" use CPUs", func() bool {
		return must(c.cgroup.cpu())(t).usage > before.usage+300*time.Millisecond
	})
	return burners
}

// until polls a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// lineOf gives the last line of text that starts with key, less the key.
func lineOf(t *testing.T, text, key string) string {
	t.Helper()
	at := strings.LastIndex("\n"+text, "\n"+key)
	if at < 0 {
		t.Fatalf("no line %q in:\n%s", key, text)
	}
	line, _, _ := strings.Cut(text[at+len(key):], "\n")
	return strings.TrimSpace(line)
}
