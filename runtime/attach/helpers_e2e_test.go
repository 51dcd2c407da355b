// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package attach

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// container is a process in a mount and PID namespace of its own that ends
// with the test.
type container struct {
	t   *testing.T
	pid int
}

// startContainer runs script (which should mount things and may exec nothing)
// in new namespaces with private propagation and a fresh /proc, and returns when
// it is through. flags are namespaces beyond mount and PID.
func startContainer(t *testing.T, flags uintptr, script string) *container {
	t.Helper()
	return start(t, flags, "mount --make-rprivate / && mount -t proc proc /proc && "+script)
}

func start(t *testing.T, flags uintptr, script string) *container {
	t.Helper()
	cmd := exec.Command("sh", "-c", "set -e; "+script+"\necho ready; exec cat >/dev/null")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: 0}
	if flags&unix.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the container's script failed: %q %v", line, err)
	}
	return &container{t, cmd.Process.Pid}
}

// read reads a file as the container sees it.
func (c *container) read(path string) string {
	c.t.Helper()
	text, err := readRaw(fmt.Sprintf("/proc/%d/root%s", c.pid, path))
	if err != nil {
		c.t.Error(err)
	}
	return text
}

// readRaw reads a file whose server may be this very process. Package os adds
// files to the poller, and that system call, which a FUSE server has to answer,
// keeps its processor: with the garbage collector waiting for it, nobody would.
func readRaw(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		if n == 0 {
			return string(text), nil
		}
		text = append(text, buf[:n]...)
	}
}

// mounts returns the container's mount table without the ids of mounts, which
// change when a mount is put back.
func (c *container) mounts() string {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		fields := strings.SplitN(line, " ", 3)
		out.WriteString(fields[2])
	}
	return out.String()
}

// in runs a command in the container's namespaces and returns what it prints.
func (c *container) in(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(c.pid), "-m", "-p", "--"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// server is a FUSE server that knows the least needed: directories /A and /proc
// with files of fixed content, and that can stop answering.
type server struct {
	dir    string
	dev    *os.File
	silent atomic.Bool
	gate   sync.Mutex // held while a request is answered, and by silence
	closed atomic.Bool
	done   chan struct{}
}

// The tree served: node id → what it is. Files say which server they are of.
var serverNodes = map[uint64]struct {
	name   string
	parent uint64
	dir    bool
}{
	1: {"", 0, true}, 2: {"A", 1, true}, 3: {"meminfo", 2, false}, 4: {"cpuinfo", 2, false}, 5: {"stat", 2, false},
	6: {"proc", 1, true}, 7: {"meminfo", 6, false},
}

// serve mounts a server's tree below the test's directory.
func serve(t *testing.T, fstype string) *server {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: t.TempDir(), dev: dev, done: make(chan struct{})}
	opts := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev.Fd())
	if err := unix.Mount("procfs-shim", s.dir, fstype, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, opts); err != nil {
		t.Fatal(err)
	}
	go s.loop()
	t.Cleanup(s.stop)
	return s
}

// stop ends the connection as the death of a server does.
func (s *server) stop() {
	if !s.closed.Swap(true) {
		_ = unix.Unmount(s.dir, unix.MNT_FORCE|unix.MNT_DETACH) // ends a read in the loop, too
		s.speak()
		<-s.done
	}
}

// silence makes the server hang: it takes requests and doesn't answer.
func (s *server) silence() {
	s.gate.Lock()
	s.silent.Store(true)
}

// speak ends a silence; who has waited gets an answer.
func (s *server) speak() {
	if s.silent.CompareAndSwap(true, false) {
		s.gate.Unlock()
	}
}

func (s *server) loop() {
	defer close(s.done)
	defer s.dev.Close()
	fd := int(s.dev.Fd())
	buf := make([]byte, 1<<17)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil {
			return
		}
		s.gate.Lock()
		s.gate.Unlock() //nolint:staticcheck,gocritic // an empty section: only the wait counts
		le := binary.LittleEndian
		op, node := le.Uint32(buf[4:]), le.Uint64(buf[16:])
		body, errno := s.answer(op, node, buf[40:n])
		if op == 2 || op == 42 { // FORGET, BATCH_FORGET
			continue
		}
		head := make([]byte, 16, 16+len(body))
		le.PutUint32(head, uint32(16+len(body)))
		le.PutUint32(head[4:], uint32(-int32(errno)))
		copy(head[8:], buf[8:16])
		if _, err := unix.Write(fd, append(head, body...)); err != nil && err != unix.ENOENT {
			return
		}
	}
}

func (s *server) answer(op uint32, node uint64, in []byte) ([]byte, unix.Errno) {
	le := binary.LittleEndian
	const hour = 3600
	switch op {
	case 26: // INIT
		out := make([]byte, 64)
		le.PutUint32(out, 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[20:], 1<<16)
		return out, 0
	case 1: // LOOKUP
		name := strings.TrimRight(string(in), "\x00")
		for id, n := range serverNodes {
			if n.parent == node && n.name == name {
				out := make([]byte, 40)
				le.PutUint64(out, id)
				le.PutUint64(out[16:], hour)
				le.PutUint64(out[24:], hour)
				return append(out, nodeAttr(id)...), 0
			}
		}
		return nil, unix.ENOENT
	case 3: // GETATTR
		out := make([]byte, 16)
		le.PutUint64(out, hour)
		return append(out, nodeAttr(node)...), 0
	case 14: // OPEN, with direct I/O
		out := make([]byte, 16)
		out[8] = 1
		return out, 0
	case 15: // READ
		text := s.content(node)
		if off := le.Uint64(in[8:]); off >= uint64(len(text)) {
			return nil, 0
		}
		return []byte(text), 0
	case 18, 25: // RELEASE, FLUSH
		return nil, 0
	default:
		return nil, unix.ENOSYS
	}
}

func nodeAttr(id uint64) []byte {
	le := binary.LittleEndian
	out := make([]byte, 88)
	le.PutUint64(out, id)
	mode := uint32(unix.S_IFREG | 0o444)
	if serverNodes[id].dir {
		mode = unix.S_IFDIR | 0o555
	}
	le.PutUint32(out[60:], mode)
	le.PutUint32(out[64:], 1)
	return out
}

func (s *server) content(node uint64) string {
	return fmt.Sprintf("%s of %s\n", serverNodes[node].name, filepath.Base(s.dir))
}

// want is what a file of this server says.
func (s *server) want(name string) string {
	return fmt.Sprintf("%s of %s\n", name, filepath.Base(s.dir))
}

// trees opens the named files of the server's directory A for /proc.
func (s *server) trees(t *testing.T, names ...string) []Tree {
	t.Helper()
	var out []Tree
	for _, n := range names {
		tree, err := OpenTree(filepath.Join(s.dir, "A", n), "/proc/"+n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tree.Close() })
		out = append(out, tree)
	}
	return out
}

func actions(rs []Result) string {
	var out []string
	for _, r := range rs {
		out = append(out, strings.TrimPrefix(r.Destination, "/proc/")+" "+r.Action.String())
	}
	return strings.Join(out, ", ")
}
