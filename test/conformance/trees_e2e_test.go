// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/test/conformance/served"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func TestMain(m *testing.M) { served.Main(m) }

// files are the paths of those served files that this host has.
func files() []string {
	var paths []string
	for _, f := range fusefs.Files() {
		if _, err := os.Stat("/" + f.Path); err == nil {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// empty are the files that may be without text.
func empty() map[string]string {
	return map[string]string{"proc/diskstats": "a container without I/O, or whose I/O the kernel doesn't count"}
}

// A changer changes what a container's files say: its memory limit and, on
// machines with more than one CPU, its quota, to a value other than the last.
type changer struct {
	cg *served.Cgroup

	mu           sync.Mutex
	memory, cpus int64
}

func (c *changer) change(path string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case "proc/meminfo", "proc/vmstat":
		c.memory++
		return true, c.cg.TrySetMemory(64<<20 + c.memory%1000<<12)
	case "proc/uptime":
		return true, nil // by itself
	case "proc/cpuinfo", "proc/stat", "sys/devices/system/cpu/online", "sys/devices/system/cpu/offline":
	default:
		return false, nil
	}
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil || strings.TrimSpace(string(online)) == "0" {
		return false, err
	}
	c.cpus++
	return true, c.cg.TrySetCPUs(float64(2 - c.cpus%2)) // 1 first: no limit shows 2, too
}

func TestBoundTree(t *testing.T) {
	s := served.Start(t)
	cg := served.NewCgroup(t, "bound")
	c := &changer{cg: cg}
	Run(t, &Subject{Dir: s.Add("bound", cg), Files: files(), Change: c.change, Empty: empty(), Slow: testenv.InGuest()})
	if errors := s.Errors("bound"); errors["cgroup-gone"]+errors["cgroup-unreadable"]+errors["host-unreadable"] > 0 {
		t.Errorf("the server counted %v", errors)
	}
}

// staticFiles are those of files that the tree of static files has.
func staticFiles() []string {
	var static []string
	for _, f := range fusefs.Files() {
		if f.Static {
			static = append(static, f.Path)
		}
	}
	return static
}

// staticDiffers is where static files differ from live ones.
func staticDiffers() map[string]string {
	const both = "a pass may show both versions: TestStaticPasses"
	return map[string]string{CheckOneSnapshot: both, CheckHeld: both}
}

func TestStaticTree(t *testing.T) {
	for name, test := range map[string]struct {
		start   func(testing.TB) *served.Server
		differs map[string]string
	}{
		"kept by the kernel": {served.Start, staticDiffers()},
		"live":               {served.StartLive, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.start(t)
			cg := served.NewCgroup(t, "static")
			s.Add("static", cg)
			c := &changer{cg: cg}
			Run(t, &Subject{
				Dir: s.StaticDir("static"), Files: staticFiles(), Change: c.change, Slow: testenv.InGuest(), Differs: test.differs,
			})
			if errors := s.Errors("static"); len(errors) > 0 {
				t.Errorf("the server counted %v", errors)
			}
		})
	}
}

// The shared tree, read by this process, whose own cgroup's view it is shown.
func TestSharedTree(t *testing.T) {
	s := served.Start(t)
	Run(t, &Subject{Dir: s.Shared, Files: files(), Empty: empty(), Slow: testenv.InGuest()})
	if errors := s.Errors(""); len(errors) > 0 {
		t.Errorf("the server counted %v", errors)
	}
}
