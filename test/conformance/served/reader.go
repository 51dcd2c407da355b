// SPDX-License-Identifier: Apache-2.0

package served

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Reader is a process that reads files, the init process of a PID namespace
// of its own.
type Reader struct {
	PID int // in the test's PID namespace

	t testing.TB
	p *peer
}

// StartReader starts a reader in the given cgroups, which ends with the test.
func StartReader(t testing.TB, in *Cgroup) *Reader {
	t.Helper()
	cmd := again(roleReader)
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	r := &Reader{t: t, p: start(t, cmd)}
	r.PID = cmd.Process.Pid
	t.Cleanup(func() { r.p.stop(true) })
	in.Join(r.PID)
	return r
}

// Join moves the reader to other cgroups.
func (r *Reader) Join(in *Cgroup) { in.Join(r.PID) }

// Stop ends the reader, and all processes of its namespace.
func (r *Reader) Stop() { r.p.stop(true) }

// Read returns the text of a whole file.
func (r *Reader) Read(path string) (string, error) {
	reply, err := r.p.ask(message{Op: "read", Path: path})
	return string(reply.Text), err
}

// Open opens a file and returns its descriptor.
func (r *Reader) Open(path string) (int, error) {
	reply, err := r.p.ask(message{Op: "open", Path: path})
	return reply.FD, err
}

// Pread reads from a descriptor that Open gave.
func (r *Reader) Pread(fd, size int, offset int64) (string, error) {
	reply, err := r.p.ask(message{Op: "pread", FD: fd, Size: size, Offset: offset})
	return string(reply.Text), err
}

// ReadByChild makes the reader start a process in its namespace that moves to
// other cgroups (nil: stays) and reads a file.
func (r *Reader) ReadByChild(in *Cgroup, path string) (string, error) {
	reply, err := r.p.ask(message{Op: "child", Join: in.Procs(), Path: path})
	return string(reply.Text), err
}

// ReadByEntrant starts a process outside that enters the reader's PID namespace
// in other cgroups, as `nsenter` from the host does, and reads a file.
func (r *Reader) ReadByEntrant(in *Cgroup, path string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(r.PID), "--pid", self)
	return childOutput(cmd, in.Procs(), path)
}

// ReadFrom starts a process in the test's own namespaces, in these cgroups,
// that reads a file.
func ReadFrom(in *Cgroup, path string) (string, error) {
	return childOutput(exec.Command("/proc/self/exe"), in.Procs(), path)
}

// childOutput runs a child in front of which stands cmd.
func childOutput(cmd *exec.Cmd, join []string, path string) (string, error) {
	cmd.Env = append(os.Environ(), roleVariable+"="+roleChild)
	cmd.Args = append(cmd.Args, path, strings.Join(join, ":"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("read %s in a child: %w: %s", path, err, stderr.String())
	}
	return string(out), nil
}

// child is the process of childOutput.
func child() int {
	join, path := os.Args[len(os.Args)-1], os.Args[len(os.Args)-2]
	text, err := joinAndRead(strings.FieldsFunc(join, func(r rune) bool { return r == ':' }), path)
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func joinAndRead(procs []string, path string) ([]byte, error) {
	for _, file := range procs {
		// 0 is the process that writes, whatever its namespace calls it.
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(path)
}

// readFor is the reader process.
func readFor([]string) (func(message) (message, error), error) {
	return func(request message) (message, error) {
		switch request.Op {
		case "read":
			text, err := os.ReadFile(request.Path)
			return message{Text: text}, err
		case "open":
			fd, err := unix.Open(request.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return message{FD: fd}, err
		case "pread":
			buf := make([]byte, request.Size)
			for {
				n, err := unix.Pread(request.FD, buf, request.Offset)
				if errors.Is(err, unix.EINTR) {
					continue
				}
				return message{Text: buf[:max(0, n)]}, err
			}
		case "child":
			text, err := childOutput(exec.Command("/proc/self/exe"), request.Join, request.Path)
			return message{Text: []byte(text)}, err
		}
		return message{}, fmt.Errorf("unknown request %q", request.Op)
	}, nil
}
