// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime/history"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// BenchmarkReal makes each text from the kernel's own files, for a container three
// levels below the root with a limit of memory and a quota:
//
//	go test -tags e2e -run '^$' -bench Real -benchmem ./fusefs/source
//
// docs/BENCHMARKS.md has what it said.
func BenchmarkReal(b *testing.B) {
	testenv.RequireRoot(b)
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		b.Fatal(err)
	}
	path := fmt.Sprintf("/procfs-shim-bench-%d/pod/container", os.Getpid())
	makeLimited(b, layout, path)
	paths, err := layout.OfDir(path)
	if err != nil {
		b.Fatal(err)
	}
	cg, err := layout.Open(paths)
	if err != nil {
		b.Fatal(err)
	}
	histories, err := history.Open(b.TempDir(), "boot", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	host := NewHost(Config{
		Proc: "/proc", Sys: "/sys", Layout: layout, Histories: histories, Log: slog.New(slog.DiscardHandler),
		Clock: time.Now, Boot: hostread.BootClock,
	})
	c := host.Container("c", cg, locate.Init{PID: os.Getpid(), Start: hostread.BootClock()})
	var record Record
	for _, f := range Files() {
		if _, err := os.Stat("/" + f.Path); err != nil {
			continue
		}
		b.Run(strings.ReplaceAll(f.Path, "/", "_"), func(b *testing.B) {
			var text []byte
			b.ReportAllocs()
			for b.Loop() {
				record.Reset()
				if text, err = c.Append(text[:0], &f, How{Record: &record}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := errors.Join(c.Close(), cg.Close(), host.Close(), histories.Close()); err != nil {
		b.Error(err)
	}
}

// makeLimited makes a cgroup in every v1 hierarchy and cgroup2, and removes it and
// what is above it when the benchmark ends.
func makeLimited(b *testing.B, layout *cgroupread.Layout, path string) {
	b.Helper()
	for _, h := range layout.Hierarchies() {
		dir := h.Mountpoint + path
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			for ; dir != h.Mountpoint; dir = filepath.Dir(dir) {
				if err := unix.Rmdir(dir); err != nil {
					b.Error(err)
				}
			}
		})
		if h.Unified && layout.Mode() == cgroupread.V2 {
			for at := h.Mountpoint; at != dir; at = filepath.Join(at, strings.Split(strings.TrimPrefix(dir, at+"/"), "/")[0]) {
				write(b, at+"/cgroup.subtree_control", "+memory +cpu +cpuset +io")
			}
		}
		for name, text := range map[string]string{
			"memory.limit_in_bytes": "268435456", "memory.max": "268435456",
			"cpu.cfs_quota_us": "150000", "cpu.max": "150000 100000",
		} {
			if _, err := os.Stat(dir + "/" + name); !errors.Is(err, fs.ErrNotExist) {
				write(b, dir+"/"+name, text)
			}
		}
	}
}

func write(b *testing.B, file, text string) {
	b.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		b.Fatal(err)
	}
}
