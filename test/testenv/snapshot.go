// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
)

// ours is how everything that the program makes starts its name: its cgroups
// and its executable, also when that is a memfd.
const ours = "procfs-shim"

// mounts keys the lines of this process's mountinfo by mount id, proc(5).
func mounts() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[id] = rest
	}
	return found, nil
}

// cgroups lists the program's directories in every hierarchy that is mounted.
func cgroups() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(kind) == 0 || kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		top := fields[4]
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed while we walk
				return nil
			case err != nil:
				return err
			case !entry.IsDir():
				return nil
			}
			for name := range strings.SplitSeq(strings.TrimPrefix(path, top), "/") {
				if strings.HasPrefix(name, ours) {
					found[path] = kind[0]
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// process is what one /proc/PID/stat says.
type process struct {
	pid, parent int
	name, state string
	started     string // ticks since boot: with the pid, it names the process
}

// readProcess parses /proc/PID/stat, proc_pid_stat(5). The name stands in
// parentheses and may contain some itself.
func readProcess(pid int) (process, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("%s: no name in %q", path, text)
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("%s: %d fields after the name in %q", path, len(fields), text)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return process{}, fmt.Errorf("%s: parent: %w", path, err)
	}
	return process{pid, parent, string(text[open+1 : end]), fields[0], fields[19]}, nil
}

// processes lists this process's descendants and every process that executes a
// program called procfs-shim.
func processes() (map[string]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]process{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		one, err := readProcess(pid)
		if err != nil {
			continue // it ended while we look
		}
		all[pid] = one
	}
	found := map[string]string{}
	self := os.Getpid()
	for pid, one := range all {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil {
			exe = "" // a kernel thread, a zombie, or another user's
		}
		if pid == self || !descends(all, pid, self) && !isOurs(exe) {
			continue
		}
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		found[fmt.Sprintf("%d %s", pid, one.started)] = fmt.Sprintf("%s (%s, parent %d, exe %q): %q", one.name, one.state, one.parent, exe,
			strings.Split(strings.TrimRight(string(command), "\x00"), "\x00"))
	}
	return found, nil
}

// isOurs says whether an exe link names the program: bin/procfs-shim, or the
// memfd that it starts itself from ("/memfd:procfs-shim (deleted)").
func isOurs(exe string) bool {
	base := strings.TrimPrefix(filepath.Base(exe), "memfd:")
	return strings.HasPrefix(base, ours) && !strings.HasSuffix(base, ".test")
}

func descends(all map[int]process, pid, from int) bool {
	// A chain of parents read while processes come and go may be broken, but
	// can't be longer than the table.
	for range len(all) {
		one, there := all[pid]
		if !there || one.parent == 0 {
			return false
		}
		if one.parent == from {
			return true
		}
		pid = one.parent
	}
	return false
}

// descriptors keys this process's descriptors by number and target. Descriptors
// of the Go runtime's poller are left out: it opens them when it first needs
// them and keeps them.
func descriptors() (map[string]string, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // opened for reading, nothing can be lost
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range names {
		if name == strconv.Itoa(int(dir.Fd())) {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + name)
		if err != nil || target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" {
			continue // closed while we look, or the poller's
		}
		found[name+" "+target] = target
	}
	return found, nil
}

// goroutines keys the goroutines of this process by id and describes each with
// its stack. Those that only run a test of their own are left out.
func goroutines() map[string]string {
	text := make([]byte, 1<<20)
	for {
		n := goruntime.Stack(text, true)
		if n < len(text) {
			text = text[:n]
			break
		}
		text = make([]byte, 2*len(text))
	}
	found := map[string]string{}
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		id, _, ok := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		if ok && !strings.Contains(stack, "testing.tRunner") && !strings.Contains(stack, "os/signal.loop") {
			found[id] = stack
		}
	}
	return found
}
