// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

// explanation is what `explain --output json` says.
type explanation struct {
	Snapshot  uint64
	Held      bool
	Time      time.Time
	File      string
	Container string
	InitPID   int    `json:"init_pid"`
	HostsOwn  string `json:"hosts_own"`
	Notes     []string
	Fields    []struct {
		Field, Host, Shown, Kind, Formula, From string
		Sources                                 []struct {
			From, Path, Field, Value string
			Binds, Missing           bool
		}
	}
}

func (p *program) explain(t *testing.T, args ...string) explanation {
	t.Helper()
	var e explanation
	text := p.do(t, append([]string{"explain", "--output", "json"}, args...)...).text(t)
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("explain %v: %v: %s", args, err, text)
	}
	return e
}

// shows compares what is explained with a text of the file.
func (e *explanation) shows(t *testing.T, text string) {
	t.Helper()
	fields := formats.Split(strings.TrimPrefix(e.File, "/"), text)
	if len(fields) != len(e.Fields) {
		t.Errorf("%s: %d fields are explained, and %d were read", e.File, len(e.Fields), len(fields))
		return
	}
	for i, f := range fields {
		if got := e.Fields[i]; got.Field != f.Name || got.Shown != f.Value {
			t.Errorf("%s: %s = %q was read, %s = %q is explained", e.File, f.Name, f.Value, got.Field, got.Shown)
		}
	}
}

// snapshotOf reads an open file to its end and asks for its snapshot.
func snapshotOf(t *testing.T, f *os.File) (text string, id uint64) {
	t.Helper()
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	const read = 2 << 30 // the rest is the size, a letter and a number: ioctl.h's _IOR
	const request = read | 8<<16 | 'p'<<8 | 1
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		t.Fatalf("%s: which snapshot: %v", f.Name(), errno)
	}
	return string(all), id
}

// isStatic says whether a file's text is kept by the kernel.
func isStatic(name string) bool {
	return slices.ContainsFunc(fusefs.Files(), func(f fusefs.File) bool { return f.Static && "/"+f.Path == name })
}

// TestExplain: what a reader of any file has in its hands, and what is explained by
// the snapshot that it names, are the same, in a container of `run` and in one that
// was given its views.
func TestExplain(t *testing.T) {
	p := setup(t)
	s := p.serve(t)
	run := p.shell(t, "explained", "--memory", "64m", "--cpu-quota", "50000")
	cgroup := served.NewCgroup(t, "explained")
	cgroup.SetMemory(96 * mib)
	b := newPlain(t, cgroup)
	p.does(t, all("placed"), "mount", b.target())
	for target, pid := range map[string]int{"explained": p.statusOf(t, "explained").InitPID, b.target(): b.pid} {
		before := mountsOf(t, pid)
		for _, name := range usual() {
			f, err := os.Open(inside(pid, name))
			if err != nil {
				t.Fatal(err)
			}
			text, id := snapshotOf(t, f)
			e := p.explain(t, "--snapshot", fmt.Sprint(id), target, name)
			if e.Snapshot != id || !e.Held || e.File != name || e.InitPID != pid || time.Since(e.Time) > time.Minute {
				t.Errorf("%s of %s: %+v", name, target, e)
			}
			e.shows(t, text)
			f.Close()
			if isStatic(name) { // the kernel holds it
				kept := p.explain(t, "--snapshot", fmt.Sprint(id), target, name)
				kept.shows(t, text)
			} else {
				p.do(t, "explain", "--snapshot", fmt.Sprint(id), target, name).refused(t, 1, fmt.Sprint(id), "no open file holds")
			}
			if anew := p.explain(t, target, name); anew.Snapshot <= id || anew.Held || len(anew.Fields) != len(e.Fields) && name != "/proc/diskstats" && name != "/proc/slabinfo" {
				t.Errorf("%s of %s anew: %+v", name, target, anew)
			}
		}
		if got := mountsOf(t, pid); got != before {
			t.Errorf("explain changed the mounts of %s to\n%s", target, got)
		}
	}

	// A reader of the shared tree.
	f, err := os.Open(s.mountpoint + "/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	text, id := snapshotOf(t, f)
	e := p.explain(t, "--snapshot", fmt.Sprint(id), "explained", "meminfo")
	e.shows(t, text)
	f.Close()
	run.leave(t)
}

// TestExplainOne has single fields in words, and says what can't be explained.
func TestExplainOne(t *testing.T) {
	p := setup(t)
	p.serve(t)
	run := p.shell(t, "one-field", "--memory", "64m", "--cpu-quota", "50000", "--swap", "none")
	total := p.do(t, "explain", "one-field", "meminfo", "MemTotal").text(t)
	for _, words := range []string{"one-field", "policy: swap=none", "computed", "65536 kB", "67108864", "← binds", "min over chain"} {
		if !strings.Contains(total, words) {
			t.Errorf("no %q in\n%s", words, total)
		}
	}
	if online := p.do(t, "explain", "one-field", "cpu/online").text(t); !strings.Contains(online, "getcpu(2)") && host(t).online != "0" {
		t.Errorf("the quota isn't spoken of:\n%s", online)
	}
	if stat := p.do(t, "explain", "one-field", "stat", "cpu0", "steal").text(t); !strings.Contains(stat, "refused") {
		t.Errorf("explained as\n%s", stat)
	}
	if node := p.do(t, "explain", "one-field", "node/node0/meminfo").text(t); !strings.Contains(node, "MemUsed") {
		t.Errorf("explained as\n%s", node)
	}
	if swap := p.do(t, "explain", "one-field", "meminfo", "SwapTotal").text(t); !strings.Contains(swap, "constant") {
		t.Errorf("explained as\n%s", swap)
	}
	p.do(t, "explain", "one-field", "meminfo", "memtotal").refused(t, 1, "memtotal", "MemTotal")
	p.do(t, "explain", "one-field", "memifo").refused(t, 2, "meminfo")
	p.do(t, "explain", "one-field", "node/node77/meminfo").refused(t, 1, "node77")
	p.do(t, "explain", "nobody", "meminfo").refused(t, 1, "nobody")
	p.do(t, "explain", "--snapshot", "5", "one-field", "meminfo").refused(t, 1, "snapshot 5")
	run.leave(t)
}

// TestExplainHere: without a server, or with one that doesn't have the container,
// the text is made by the command itself, which says so.
func TestExplainHere(t *testing.T) {
	p := setup(t)
	const made = "the text was made here"
	run := p.shell(t, "own-server", "--memory", "64m", "--swap", "none")
	cgroup := served.NewCgroup(t, "unregistered")
	cgroup.SetMemory(96 * mib)
	b := newPlain(t, cgroup)
	for _, c := range []struct {
		target, total string
	}{{"own-server", "65536 kB"}, {b.target(), "98304 kB"}} {
		e := p.explain(t, c.target, "meminfo", "MemTotal")
		if len(e.Fields) != 1 || e.Fields[0].Shown != c.total || !slices.ContainsFunc(e.Notes, func(n string) bool { return strings.Contains(n, made) }) {
			t.Errorf("%s: %+v", c.target, e)
		}
		for _, name := range usual() {
			if e := p.explain(t, c.target, name); e.File != name {
				t.Errorf("%s of %s: %+v", name, c.target, e)
			}
		}
	}
	if e := p.explain(t, "own-server", "meminfo", "SwapTotal"); e.Fields[0].Kind != "constant" {
		t.Errorf("not by the policy of its own server: %+v", e)
	}
	p.do(t, "explain", "--snapshot", "5", "own-server", "meminfo").refused(t, 1, "no server")
	p.serve(t)
	if e := p.explain(t, b.target(), "meminfo", "MemTotal"); !slices.ContainsFunc(e.Notes, func(n string) bool { return strings.Contains(n, made) }) {
		t.Errorf("beside a server: %+v", e)
	}
	p.does(t, all("placed"), "mount", b.target())
	if e := p.explain(t, b.target(), "meminfo", "MemTotal"); slices.ContainsFunc(e.Notes, func(n string) bool { return strings.Contains(n, made) }) {
		t.Errorf("with its views: %+v", e)
	}
	run.leave(t)
}
