// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const mib = 1 << 20

// memory is what free(1) prints, in bytes: by column, of the line Mem:.
type memory map[string]int64

// freeScript prints one row that parseFree reads.
const freeScript = "free -b"

func parseFree(t *testing.T, output string) memory {
	t.Helper()
	header, _, _ := strings.Cut(output, "\n")
	m := memory{}
	for name, value := range columns(t, header, lineOf(t, output, "Mem:")) {
		m[name] = int64(value)
	}
	for _, name := range []string{"total", "used", "free", "shared", "buff/cache", "available"} {
		if _, there := m[name]; !there {
			t.Fatalf("free has no column %s:\n%s", name, output)
		}
	}
	return m
}

// reckon is the arithmetic on a chain of cgroups, the container's first: what
// free should print. Its "used" is total less available since procps 4.
func reckon(chain ...cgroup) (memory, error) {
	m := memory{}
	for i, c := range chain {
		limit, usage, stat, err := c.memory()
		if err != nil {
			return nil, err
		}
		reclaimable := stat["inactive_file"] + stat["active_file"] + stat["slab_reclaimable"]
		free := max(0, limit-usage)
		if i == 0 {
			m = memory{"total": limit, "free": free, "available": free + reclaimable, "shared": stat["shmem"], "buff/cache": stat["file"] + stat["slab_reclaimable"]}
			continue
		}
		m["total"] = min(m["total"], limit)
		m["free"] = min(m["free"], free)
		m["available"] = min(m["available"], free+reclaimable)
	}
	m["used"] = m["total"] - m["available"]
	return m, nil
}

// memory reads limit and usage, and memory.stat by v2's names. The files lag one
// another: usage is at least what the lists have.
func (c cgroup) memory() (limit, usage int64, stat map[string]int64, err error) {
	limitFile, usageFile, prefix := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
	if c.v2 {
		limitFile, usageFile, prefix = "memory.max", "memory.current", ""
	}
	if limit, err = number(c.file("memory", limitFile)); err != nil {
		return 0, 0, nil, err
	}
	if usage, err = number(c.file("memory", usageFile)); err != nil {
		return 0, 0, nil, err
	}
	all, err := keys(c.file("memory", "memory.stat"))
	if err != nil {
		return 0, 0, nil, err
	}
	stat = map[string]int64{}
	for key, value := range all {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			stat[name] = value
		}
	}
	if !c.v2 {
		stat["file"], stat["anon"] = stat["cache"], stat["rss"]
	}
	lists := stat["inactive_anon"] + stat["active_anon"] + stat["inactive_file"] + stat["active_file"] + stat["unevictable"]
	return limit, max(usage, lists), stat, nil
}

// compareMemory runs a tool and compares what it shows with the arithmetic on what
// the files said before, while and after it ran: it uses memory itself.
func compareMemory(t *testing.T, name string, tool func() memory, chain ...cgroup) memory {
	t.Helper()
	low, high := memory{}, memory{}
	var failed error
	look := func() {
		now, err := reckon(chain...)
		if err != nil {
			failed = err
			return
		}
		for name, value := range now {
			if was, seen := low[name]; !seen || value < was {
				low[name] = value
			}
			high[name] = max(high[name], value)
		}
	}
	look()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				look()
			}
		}
	}()
	shown := func() memory {
		defer func() { close(end); <-ended }()
		return tool()
	}()
	look()
	if failed != nil {
		t.Fatal(failed)
	}
	t.Logf("%s shows %v", name, shown)
	for column, value := range shown {
		if _, known := low[column]; known && (value < low[column]-mib || value > high[column]+mib) {
			t.Errorf("%s shows %s %d; the memory files of %v say %d to %d", name, column, value, chain, low[column], high[column])
		}
	}
	return shown
}

// TestFree compares free with the files of a container that has page cache,
// shared and anonymous memory.
func TestFree(t *testing.T) {
	testenv.RequireTool(t, "free")
	testenv.NoLeaks(t)
	c := start(t, "truth-free", "--memory", "256m", "--tmpfs", "/shared")
	look := func() memory {
		t.Helper()
		return compareMemory(t, "free", func() memory { return parseFree(t, c.ask(t, freeScript)) }, c.cgroup)
	}
	look()
	for _, step := range []struct{ name, script, column string }{
		{"page cache", "dd if=/dev/zero of=/cached bs=1M count=48 2>/dev/null && sync /cached && cat /cached >/dev/null", "buff/cache"},
		{"shared", "dd if=/dev/zero of=/shared/file bs=1M count=24 2>/dev/null", "shared"},
	} {
		c.ask(t, step.script)
		if shown := look(); shown[step.column] < 20*mib {
			t.Errorf("%s: free's column %s has %d", step.name, step.column, shown[step.column])
		}
	}
	holder := c.begin(t, fmt.Sprintf("(echo go; sleep 1000) | %s %s %d", toolPath, partHold, 64*mib))
	until(t, "64 MiB are used", func() bool {
		_, _, stat, err := c.cgroup.memory()
		return err == nil && stat["anon"] >= 64*mib
	})
	if shown := look(); shown["used"] < 64*mib {
		t.Errorf("64 MiB are held, free shows %d used", shown["used"])
	}
	holder.kill(t)
}
