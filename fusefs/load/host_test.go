// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A host is a directory that stands for /proc and for v1's freezer hierarchy,
// and the tasks of one container in it.
type host struct {
	t             testing.TB
	proc, freezer string

	mu     sync.Mutex // a timer orders nothing for the race detector
	tids   []int
	err    error         // what Tasks gives
	block  chan struct{} // Tasks waits until it is closed, unless nil
	called int           // how often Tasks was
	asked  int           // for how many, the last time
}

func newHost(t testing.TB) *host {
	dir := t.TempDir()
	h := &host{t: t, proc: filepath.Join(dir, "proc"), freezer: filepath.Join(dir, "freezer")}
	h.write(filepath.Join(h.freezer, "tasks"), "")
	h.task(1, 'S', 1)
	h.tids = nil // the host's init
	return h
}

// Tasks lists the tasks that were made.
func (h *host) Tasks(dst []int, most int) ([]int, bool, error) {
	h.mu.Lock()
	h.called++
	h.asked = most
	tids, err, block := h.tids[:min(most, len(h.tids))], h.err, h.block
	h.mu.Unlock()
	if block != nil {
		<-block
	}
	return append(dst, tids...), len(tids) <= most, err
}

// passes is how often Tasks was called, most what it was asked for.
func (h *host) passes() (n, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.called, h.asked
}

// fail makes Tasks fail, or not.
func (h *host) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// hold makes Tasks wait until the result is called.
func (h *host) hold() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	block := make(chan struct{})
	h.block = block
	return func() { close(block) }
}

// task makes a task, or changes it. pids are its numbers in its PID namespaces.
func (h *host) task(tid int, state byte, pids ...int) {
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", "\t"), "[]")
	h.write(fmt.Sprintf("%s/%d/status", h.proc, tid), fmt.Sprintf("Name:\tx\nState:\t%c\nNSpid:\t%s\n", state, numbers))
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.tids, tid) {
		h.tids = append(h.tids, tid)
	}
}

// cgroup puts a task into a freezer cgroup.
func (h *host) cgroup(tid int, path string) {
	h.write(fmt.Sprintf("%s/%d/cgroup", h.proc, tid), "2:cpu:/\n1:freezer:"+path+"\n0::/\n")
}

func (h *host) write(file, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// engine is one that reads the host, closed when the test ends.
func (h *host) engine() *Engine {
	h.t.Helper()
	e, err := New(Config{Proc: h.proc, Freezer: h.freezer, Now: time.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return e
}

// expectPasses checks how many passes there were.
func expectPasses(t *testing.T, h *host, want int) {
	t.Helper()
	if n, _ := h.passes(); n != want {
		t.Errorf("%d passes, want %d", n, want)
	}
}

func read(t testing.TB, c *Container) Sample {
	t.Helper()
	s, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// loads are a sample's averages as uptime(1) shows them.
func loads(s Sample) string {
	text := ""
	for _, l := range s.Loadavg.Load {
		text += fmt.Sprintf("%.2f ", float64(l)/fixed)
	}
	return strings.TrimSpace(text)
}
