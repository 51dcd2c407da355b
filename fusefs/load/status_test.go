// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// nested is the beginning of a status of Linux 6.18, of a task two PID
// namespaces below that of the procfs.
const nested = "Name:\tsh\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\n" +
	"PPid:\t1\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t0 1 2 \n" +
	"NStgid:\t4242\t17\t1\nNSpid:\t4242\t17\t1\nNSpgid:\t4242\t17\t1\nNSsid:\t4242\t17\t1\nKthread:\t0\n"

func TestParseStatus(t *testing.T) {
	s, err := parseStatus([]byte(nested))
	if err != nil {
		t.Fatal(err)
	}
	if s.state != 'S' || s.depth() != 3 {
		t.Errorf("state %c, depth %d", s.state, s.depth())
	}
	for depth, want := range []int{1, 4242, 17, 1, 0, 0} {
		if got := s.pid(depth); got != want {
			t.Errorf("pid(%d) = %d, want %d", depth, got, want)
		}
	}
}

// What a status of another kernel, or a read that was cut off, leaves out.
func TestParseStatusInPart(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		state      byte
		depth, pid int
		cause      error
	}{
		"without NSpid":    {text: "Name:\ta\nState:\tR (running)\n", state: 'R'},
		"cut off":          {text: "Name:\ta\nState:\tD (disk sleep)\nGroups:\t1 2", state: 'D'},
		"cut off in NSpid": {text: "State:\tI (idle)\nNSpid:\t12\t3", state: 'I', depth: 2, pid: 3},
		"a hostile name":   {text: "Name:\tx\\nState:\\tR\nState:\tS (sleeping)\nNSpid:\t9\n", state: 'S', depth: 1, pid: 9},
		"too large":        {text: "State:\tS\nNSpid:\t99999999999999999999\n", state: 'S', depth: 1, pid: 9999999},
		"no number":        {text: "State:\tS\nNSpid:\tx\n", state: 'S', depth: 1},
		"no pids":          {text: "State:\tS\nNSpid:\t\n", state: 'S'},
		"empty":            {text: "", cause: procfile.ErrMissing},
		"no state":         {text: "Name:\ta\nNSpid:\t1\n", cause: procfile.ErrMissing},
		"an empty state":   {text: "Name:\ta\nState:\t\n", cause: procfile.ErrForm},
	} {
		s, err := parseStatus([]byte(c.text))
		if !errors.Is(err, c.cause) {
			t.Errorf("%s: error %v, want %v", name, err, c.cause)
		}
		if s.state != c.state || s.depth() != c.depth || s.pid(0) != c.pid {
			t.Errorf("%s: state %q, depth %d, pid %d; want %q, %d, %d", name, s.state, s.depth(), s.pid(0), c.state, c.depth, c.pid)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(nested), 2)
	f.Add([]byte("State:\tD (disk sleep)\nNSpid:\t1\n"), 0)
	f.Add([]byte("State:\t\n"), 1)
	f.Add([]byte("NSpid:\t1\nState:\tR\n"), 1)
	f.Add([]byte("State:\tR\nState:\t\nNSpid:\t\t\t8\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, depth int) {
		s, err := parseStatus(text)
		if err != nil {
			if s.state != 0 || s.depth() != 0 {
				t.Errorf("%q: an error and %+v", text, s)
			}
			return
		}
		if !bytes.Contains(text, append([]byte("State:\t"), s.state)) {
			t.Errorf("%q: state %q is nowhere", text, s.state)
		}
		depth = max(0, min(depth, 100))
		if pid := s.pid(depth); pid < 0 || pid > 10*maxPID+9 || depth > s.depth() && pid != 0 {
			t.Errorf("%q: pid(%d) = %d, depth is %d", text, depth, pid, s.depth())
		}
		if own := s.pid(s.depth()); own != s.pid(0) {
			t.Errorf("%q: its own PID is %d, or %d", text, own, s.pid(0))
		}
	})
}

func TestFreezerPath(t *testing.T) {
	const v1 = "9:name=systemd:/x\n7:cpu,freezer,blkio:/docker/a:b c\n0::/y\n"
	for text, want := range map[string]string{
		v1:                        "/docker/a:b c",
		"6:freezer:/\n":           "/",
		"6:freezer:/../x\n":       "", // outside of our cgroup namespace
		"6:freezer:/..\n":         "",
		"6:freezer:/docker/ab":    "", // cut off
		"6:freezer:\n":            "",
		"6:freezer:docker\n":      "",
		"6:freezers:/x\n":         "",
		"0::/freezer:/x\n":        "",
		"":                        "",
		"\n:\n::\n6:freezer:/z\n": "/z",
	} {
		path, ok := freezerPath([]byte(text))
		if !ok {
			path = nil
		}
		if string(path) != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", text, path, ok, want)
		}
	}
}

func FuzzFreezerPath(f *testing.F) {
	f.Add([]byte("7:cpu,freezer,blkio:/docker/a:b c\n0::/y\n"))
	f.Add([]byte("6:freezer:/../x\n"))
	f.Add([]byte(":\n,:,\n:freezer,:/\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path, ok := freezerPath(text)
		if !ok {
			return
		}
		if path[0] != '/' || strings.HasPrefix(string(path), "/..") || bytes.IndexByte(path, '\n') >= 0 || !bytes.Contains(text, append(path[:len(path):len(path)], '\n')) {
			t.Errorf("%q: %q", text, path)
		}
	})
}
