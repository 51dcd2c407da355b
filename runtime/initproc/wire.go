// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/mounts"
	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
)

// Kind says what a message is; see the package comment.
type Kind string

// The kinds of message.
const (
	KindSetup   Kind = "setup"
	KindConsole Kind = "console"
	KindWarning Kind = "warning"
	KindReady   Kind = "ready"
	KindStart   Kind = "start"
	KindFailed  Kind = "failed"
)

// Message is one message of the protocol.
type Message struct {
	Kind Kind `json:"kind"`
	// Setup comes with KindSetup, Failure with KindFailed, Text with
	// KindWarning.
	Setup   *Setup        `json:"setup,omitempty"`
	Failure *FailureError `json:"failure,omitempty"`
	Text    string        `json:"text,omitempty"`
}

// Setup is what init needs to know.
type Setup struct {
	// Spec is the OCI config, checked, with an absolute root path.
	Spec *specs.Spec `json:"spec"`
	// Overlay is mounted before anything else; its target is the config's root.
	Overlay *rootfs.Overlay `json:"overlay,omitempty"`
	// Cgroups is what a mount of type cgroup shows.
	Cgroups []mounts.CgroupDir `json:"cgroups,omitempty"`
	// Views are the destinations of the detached mounts that come with the
	// message, in its order.
	Views []string `json:"views,omitempty"`
	// Rlimits are set just before the command is executed. No hard limit is
	// above what init has already.
	Rlimits []spawn.Rlimit `json:"rlimits,omitempty"`
	// Reaper asks for a PID 1 of ours.
	Reaper bool `json:"reaper,omitempty"`
}

// FailureError is why a container could not be started, as init saw it. It
// wraps its errno.
type FailureError struct {
	Text  string     `json:"text"`
	Errno unix.Errno `json:"errno,omitempty"`
	// Exec says that the container's command can't be executed, while the
	// container itself could be made.
	Exec bool `json:"exec,omitempty"`
}

func (f *FailureError) Error() string { return f.Text }

// Unwrap gives the errno, nil if there is none.
func (f *FailureError) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}

// execError marks an error as the command's.
type execError struct{ error }

func (e execError) Unwrap() error { return e.error }

func failure(err error) *FailureError {
	f := &FailureError{Text: err.Error()}
	_ = errors.As(err, &f.Errno) // zero if there is none
	var exec execError
	f.Exec = errors.As(err, &exec)
	return f
}

// Conn is one end of the socket. It is not for concurrent use.
type Conn struct{ file *os.File }

// Pair makes both ends, the second one for init.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return NewConn(os.NewFile(uintptr(fds[0]), "init socket")), os.NewFile(uintptr(fds[1]), "parent socket"), nil
}

// NewConn speaks over a connected unix stream socket.
func NewConn(f *os.File) *Conn { return &Conn{f} }

// Close closes this end.
func (c *Conn) Close() error { return c.file.Close() }

const (
	maxMessage = 32 << 20 // an environment may have several megabytes
	maxRights  = 128      // served files of one container
)

// Send sends m, with files.
func (c *Conn) Send(m Message, files ...*os.File) error {
	if len(files) > maxRights {
		return fmt.Errorf("send %s: %d descriptors are more than %d", m.Kind, len(files), maxRights)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("send %s: %w", m.Kind, err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("send %s: %d bytes are more than %d: %w", m.Kind, len(body), maxMessage, unix.EMSGSIZE)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	text := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
	for len(text) > 0 {
		n, err := unix.SendmsgN(int(c.file.Fd()), text, rights, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("send %s: %w", m.Kind, err)
		}
		text, rights = text[n:], nil
	}
	return nil
}

// Receive waits for the next message. io.EOF when the other end is closed
// where a message would begin.
func (c *Conn) Receive() (Message, []*os.File, error) {
	var m Message
	var length [4]byte
	files, err := c.fill(length[:], true)
	if err != nil {
		return m, nil, err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxMessage {
		closeAll(files)
		return m, nil, fmt.Errorf("receive: %d bytes are more than %d: %w", n, maxMessage, unix.EMSGSIZE)
	}
	body := make([]byte, n)
	if _, err := c.fill(body, false); err != nil {
		closeAll(files)
		return m, nil, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		closeAll(files)
		return m, nil, fmt.Errorf("receive: %w", err)
	}
	return m, files, nil
}

// fill reads until buf is full. Descriptors come with the first byte.
func (c *Conn) fill(buf []byte, first bool) ([]*os.File, error) {
	var files []*os.File
	for filled := 0; filled < len(buf); {
		rights := make([]byte, unix.CmsgSpace(4*maxRights))
		n, rightsLen, flags, _, err := unix.Recvmsg(int(c.file.Fd()), buf[filled:], rights, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = errors.New("descriptors were lost")
		}
		if err == nil && rightsLen > 0 {
			var more []*os.File
			more, err = parseRights(rights[:rightsLen])
			files = append(files, more...)
		}
		switch {
		case err != nil:
		case n == 0 && first && filled == 0:
			err = io.EOF
		case n == 0:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			closeAll(files)
			if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("receive: %w", err)
		}
		filled += n
	}
	return files, nil
}

func parseRights(data []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(data)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
