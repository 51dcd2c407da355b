// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif, <linux/seccomp.h>.
type notification struct {
	ID        uint64
	TID       uint32 // as our PID namespace numbers it
	Flags     uint32
	Number    int32
	Arch      uint32
	IP        uint64
	Arguments [6]uint64
}

// tracee reads what a waiting thread's arguments point to. All of it is only
// for as long as the notification is valid: the thread may be killed at any
// time, and its id given to another one.
type tracee int

// memory reads up to n bytes at an address of the tracee, fewer where its
// mappings end.
func (t tracee) memory(address uint64, n int) []byte {
	if address == 0 || n <= 0 {
		return nil
	}
	// One piece to the end of the page and one beyond it: the second may not be
	// mapped.
	page := os.Getpagesize()
	buffer := make([]byte, n)
	first := min(n, page-int(address%uint64(page)))
	pieces := []unix.RemoteIovec{{Base: uintptr(address), Len: first}}
	if first < n {
		pieces = append(pieces, unix.RemoteIovec{Base: uintptr(address) + uintptr(first), Len: n - first})
	}
	local := []unix.Iovec{{Base: &buffer[0]}}
	local[0].SetLen(n)
	got, err := unix.ProcessVMReadv(int(t), local, pieces, 0)
	if err != nil {
		return nil
	}
	return buffer[:got]
}

// path reads a string of at most PATH_MAX.
func (t tracee) path(address uint64) string {
	text, _, _ := bytes.Cut(t.memory(address, unix.PathMax), []byte{0})
	return string(text)
}

// link gives what a descriptor is: a path, "socket:[1]" and the like.
func (t tracee) link(fd int32) string {
	if fd == unix.AT_FDCWD {
		return "cwd"
	}
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t, fd))
	if err != nil {
		return strconv.Itoa(int(fd))
	}
	return target
}

// inCgroupfs says whether a descriptor is a file of a cgroup hierarchy, wherever
// that is mounted. Only the type of its file system is asked for.
func (t tracee) inCgroupfs(fd int32) bool {
	path := fmt.Sprintf("/proc/%d/fd/%d", t, fd)
	if target, err := os.Readlink(path); err != nil || !strings.HasPrefix(target, "/") {
		return false // a pipe, a socket, an anonymous inode
	}
	// A file that the tracee has open for reading only can't be written, and
	// its file system may be one that the tracee itself serves: then the
	// question would wait for an answer that waits for ours.
	if !t.writable(fd) {
		return false
	}
	// O_PATH opens nothing: no driver and no FUSE server hears of it.
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	var fs unix.Statfs_t
	err = unix.Fstatfs(at, &fs)
	_ = unix.Close(at) // an O_PATH descriptor has nothing to write back
	return err == nil && (fs.Type == unix.CGROUP_SUPER_MAGIC || fs.Type == unix.CGROUP2_SUPER_MAGIC)
}

// writable reads the access mode from /proc/TID/fdinfo/N, proc_pid_fdinfo(5).
func (t tracee) writable(fd int32) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t, fd))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
			return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
		}
	}
	return false
}

// process gives the tracee's process id and name.
func (t tracee) process() (pid int, command string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t))
	if err != nil {
		return 0, ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); key {
		case "Name":
			command = value
		case "Tgid":
			if pid, err = strconv.Atoi(value); err != nil {
				return 0, ""
			}
			return pid, command
		}
	}
	return 0, ""
}

// shown is how many bytes of a buffer a description has.
const shown = 64

// describe formats the arguments of a call that say what it is about.
func (t tracee) describe(c call, arguments [6]uint64) string {
	if c.number == unix.SYS_CLONE3 {
		return fmt.Sprintf("%#x", t.clone3Flags(arguments[0]))
	}
	parts := make([]string, 0, len(c.show))
	for _, show := range c.show {
		value := arguments[show.index]
		switch show.as {
		case asPath:
			parts = append(parts, strconv.Quote(t.path(value)))
		case asFD:
			parts = append(parts, t.link(int32(uint32(value))))
		case asFlags:
			parts = append(parts, fmt.Sprintf("%#x", value))
		case asData:
			length := int(min(arguments[show.index+1], shown))
			parts = append(parts, strconv.Quote(string(t.memory(value, length))))
		}
	}
	return strings.Join(parts, ", ")
}

// clone3Flags reads the first member of struct clone_args, clone(2).
func (t tracee) clone3Flags(address uint64) uint64 {
	if flags := t.memory(address, 8); len(flags) == 8 {
		return binary.NativeEndian.Uint64(flags)
	}
	return 0
}

// openat2Creates reads the first member of struct open_how, openat2(2).
func (t tracee) openat2Creates(address uint64) bool {
	flags := t.memory(address, 8)
	return len(flags) == 8 && binary.NativeEndian.Uint64(flags)&unix.O_CREAT != 0
}

// counts says whether a call is one of those that Kind promises, where the
// filter alone couldn't tell.
func (t tracee) counts(c call, arguments [6]uint64) bool {
	switch {
	case c.kind == CgroupWrite:
		return t.inCgroupfs(int32(uint32(arguments[0])))
	case c.number == unix.SYS_CLONE3:
		return t.clone3Flags(arguments[0])&cloneThread == 0
	case c.number == unix.SYS_OPENAT2:
		return t.openat2Creates(arguments[2])
	default:
		return true
	}
}
