// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

const (
	// MaxLine is the longest line of the protocol in bytes, its line feed
	// included. The largest request names a container by one cgroup path per
	// v1 controller, each at most PATH_MAX long.
	MaxLine = 64 << 10

	// maxID is the longest container id in bytes: it becomes a file name
	// (NAME_MAX).
	maxID = 255

	// maxPage is how many bytes of encoded containers one answer to "list"
	// may hold, if it holds more than one.
	maxPage = MaxLine / 2
)

// The operations.
const (
	opRegister   = "register"
	opUnregister = "unregister"
	opList       = "list"
)

// The codes of error answers.
const (
	CodeMalformed = "malformed" // the request can't be understood
	CodeInvalid   = "invalid"   // a value in it can't be right
	CodeConflict  = "conflict"  // the id is taken by another container
	CodeGone      = "gone"      // the init process or the cgroup isn't there
	CodeFull      = "full"      // as many containers or connections as there may be
	CodeDenied    = "denied"    // this peer may not ask
	CodeInternal  = "internal"  // the server failed
)

// Registration says which container is to be served.
type Registration struct {
	// ID names the container: 1 to 255 of the characters A–Z a–z 0–9 _ . + : @
	// - and \ (systemd's escapes have it), the first a letter, digit or _.
	ID string `json:"id"`
	// Cgroup is the container's cgroup.
	Cgroup cgroupread.Paths `json:"cgroup"`
	// InitPID is the container's init process as the server's PID namespace
	// numbers it.
	InitPID int `json:"init_pid"`
	// Policy says how its view is made; the zero value is the default.
	Policy view.Policy `json:"policy"`
	// Owned ties the container to the connection that registers it: when that
	// closes without Unregister, the server kills InitPID.
	Owned bool `json:"owned"`
}

// Registered says where a container's files are.
type Registered struct {
	// Dir is the absolute directory below which proc/meminfo and the others
	// are.
	Dir string `json:"dir"`
	// Files are the paths below Dir that are bound over the container's own
	// unless it is told otherwise, for example "proc/meminfo".
	Files []string `json:"files"`
}

// Status is what the server knows of one container.
type Status struct {
	ID      string           `json:"id"`
	Cgroup  cgroupread.Paths `json:"cgroup"`
	InitPID int              `json:"init_pid"`
	Dir     string           `json:"dir"`
	Policy  view.Policy      `json:"policy"`
	Owned   bool             `json:"owned"`
	// Errors counts reads that could not be answered with a fresh view, by
	// cause.
	Errors map[fusefs.Cause]uint64 `json:"errors,omitempty"`
	// RegisteredAt is when the server learnt of it.
	RegisteredAt time.Time `json:"registered_at"`
}

// Error is an error that the server answered. Its text is the server's.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

func errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError gives err as it is answered: what has no code is the server's fault.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Code: e.Code, Message: err.Error()}
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}

// request is one line to the server.
type request struct {
	N            uint64        `json:"n"`
	Op           string        `json:"op"`
	Registration *Registration `json:"registration,omitempty"`
	ID           string        `json:"id,omitempty"`
	After        string        `json:"after,omitempty"`
}

// answer is one line from the server.
type answer struct {
	N          uint64      `json:"n"`
	Error      *Error      `json:"error,omitempty"`
	Registered *Registered `json:"registered,omitempty"`
	Containers []Status    `json:"containers,omitempty"`
	More       bool        `json:"more,omitempty"`
}

// decodeRequest parses one line and checks its shape, and every value that
// can be judged by itself. Fields it doesn't know are refused: a client newer
// than the server must not believe that what it asked for was done. The
// request's number is given with the error too, where it could be read.
func decodeRequest(line []byte) (request, error) {
	var r request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return request{N: r.N}, errorf(CodeMalformed, "request %.80q: %v", line, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return request{N: r.N}, errorf(CodeMalformed, "request %.80q: more than one JSON value on a line", line)
	}
	if err := r.check(); err != nil {
		return request{N: r.N}, err
	}
	return r, nil
}

// check reports what is missing from r, is not part of its operation, or
// can't be right.
func (r request) check() error {
	hasRegistration, hasID, hasAfter := r.Registration != nil, r.ID != "", r.After != ""
	var fits bool
	switch r.Op {
	case opRegister:
		fits = hasRegistration && !hasID && !hasAfter
	case opUnregister:
		fits = !hasRegistration && hasID && !hasAfter
	case opList:
		fits = !hasRegistration && !hasID
	default:
		return errorf(CodeMalformed, "request: op %.40q is none of %s, %s, %s", r.Op, opRegister, opUnregister, opList)
	}
	switch {
	case !fits:
		return errorf(CodeMalformed, "request %s: a field is missing or belongs to another operation", r.Op)
	case hasRegistration:
		return r.Registration.check()
	case hasID:
		return checkID(r.ID)
	}
	return nil
}

func (r *Registration) check() error {
	if err := checkID(r.ID); err != nil {
		return err
	}
	// PIDs are at most 2²² (PID_MAX_LIMIT, include/linux/threads.h).
	if r.InitPID < 1 || r.InitPID > 1<<22 {
		return errorf(CodeInvalid, "container %s: init process %d: not a process id", r.ID, r.InitPID)
	}
	if r.Owned && r.InitPID == 1 {
		return errorf(CodeInvalid, "container %s: init process 1: the host's init can't be owned", r.ID)
	}
	return nil
}

// checkID keeps out what can't be a file name or would not be readable in a
// log.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return errorf(CodeInvalid, "container id %.40q: has %d bytes, may have 1 to %d", id, len(id), maxID)
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && (c == '.' || c == '+' || c == ':' || c == '@' || c == '-' || c == '\\'):
		default:
			return errorf(CodeInvalid, "container id %.40q: %q is not allowed at position %d", id, c, i+1)
		}
	}
	return nil
}

// encodeLine gives v, a request or an answer, as a line, or an error when it
// would be too long.
func encodeLine(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(line)+1 > MaxLine {
		return nil, errorf(CodeInvalid, "message of %d bytes: at most %d fit a line", len(line)+1, MaxLine)
	}
	return append(line, '\n'), nil
}

// decodeAnswer parses one line of the server. Fields it doesn't know are
// passed over: a newer server may tell more.
func decodeAnswer(line []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return answer{}, fmt.Errorf("answer %.80q: %w", line, err)
	}
	return a, nil
}

// page cuts containers, sorted by id, down to what one answer can hold.
func page(containers []Status) (fitting []Status, more bool, err error) {
	size := 0
	for i, c := range containers {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, false, fmt.Errorf("encode container %s: %w", c.ID, err)
		}
		if size += len(line) + 1; size > maxPage && i > 0 {
			return containers[:i], true, nil
		}
	}
	return containers, false, nil
}

// errLineTooLong is what lineReader gives for a line of more than MaxLine bytes.
var errLineTooLong = errorf(CodeMalformed, "line of more than %d bytes", MaxLine)

// lineReader reads lines of at most MaxLine bytes. Unlike bufio's readers it
// keeps the beginning of a line when reading fails (a deadline of the
// connection), so that the next call goes on where this one stopped.
type lineReader struct {
	r    io.Reader
	buf  []byte
	next int // where the first byte that was not yet handed out stands
}

// read returns the next line without its line feed; it is valid until the
// next call. A last line without line feed is dropped: its writer died.
func (l *lineReader) read() ([]byte, error) {
	seen := l.next
	for {
		if i := bytes.IndexByte(l.buf[seen:], '\n'); i >= 0 {
			line := l.buf[l.next : seen+i]
			l.next = seen + i + 1
			return line, nil
		}
		l.buf = append(l.buf[:0], l.buf[l.next:]...)
		l.next, seen = 0, len(l.buf)
		if len(l.buf) >= MaxLine {
			return nil, errLineTooLong
		}
		if len(l.buf) == cap(l.buf) {
			grown := make([]byte, len(l.buf), min(max(512, 2*cap(l.buf)), MaxLine))
			copy(grown, l.buf)
			l.buf = grown
		}
		n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}
