// SPDX-License-Identifier: Apache-2.0

// Package wire is the protocol of the control socket: it turns requests and
// answers into lines and back, and judges what can be judged of a request by
// itself. It does no I/O but through the io.Reader of a LineReader.
//
// A stream socket carries JSON lines: one request, one answer, in turn. A line
// is one JSON object and a line feed, at most [MaxLine] bytes long.
//
//	{"n":1,"op":"register","registration":{"id":"web","container":{"engine":"docker",…},"cgroup":…,"init_pid":4711,"choices":{"swap":"none"},"owned":false}}
//	{"n":1,"registered":{"dir":"/run/procfs-shim/bound/web","static":"/run/procfs-shim/static/web","files":["proc/cpuinfo","proc/meminfo"],"policy":…}}
//
//	{"n":2,"op":"unregister","id":"web"}
//	{"n":2}
//
//	{"n":3,"op":"list","after":""}
//	{"n":3,"containers":[{"id":"web",…}],"more":false}
//
//	{"n":4,"op":"server"}
//	{"n":4,"server":{"version":"v1.2.3",…}}
//
//	{"n":5,"op":"explain","explain":{"id":"web","file":"proc/meminfo"}}
//	{"n":5,"part":"eyJzbmFw…","more":true}
//
//	{"n":6,"op":"dance"}
//	{"n":6,"error":{"code":"malformed","message":"…"}}
//
// "resolve" is answered as "register" would be, and changes nothing; the answer
// has no directories.
//
// "explain" is answered with the JSON of an explain.Material, in parts: while
// "more" is true, the same request with the number of bytes that came as "offset"
// gets the next one.
//
// n is chosen by the client and repeated in the answer, so that an answer
// whose caller gave up is told from the next one. "list" gives as many
// containers as fit one line, sorted by id, from the first one after "after";
// "more" says that another request is worth it. A request that can't be
// understood (no JSON, an unknown op, an unknown or a missing field) gets an
// error answer and the connection lives on; after a line that is too long it
// is closed, since where the next one starts isn't known any more. Codes of
// errors are the constants Code….
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxLine is the longest line of the protocol in bytes, its line feed
	// included. The largest request names a container by one cgroup path per
	// v1 controller, each at most PATH_MAX long.
	MaxLine = 64 << 10

	// maxID is the longest container id in bytes: it becomes a file name
	// (NAME_MAX).
	maxID = 255

	// maxPath is the longest path of a served file in bytes, by far.
	maxPath = 255

	// PartSize is how many bytes one answer to "explain" has at most; as base64
	// they fit a line.
	PartSize = MaxLine / 2

	// maxPage is how many bytes of encoded containers one answer to "list"
	// may hold, if it holds more than one.
	maxPage = MaxLine / 2
)

// The operations.
const (
	OpRegister   = "register"
	OpResolve    = "resolve"
	OpUnregister = "unregister"
	OpList       = "list"
	OpServer     = "server"
	OpExplain    = "explain"
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

// Error is an error that the server answered. Its text is the server's.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an error with one of the codes.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError gives err as it is answered: what has no code is the server's fault.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Code: e.Code, Message: err.Error()}
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}

// Request is one line to the server.
type Request struct {
	N            uint64        `json:"n"`
	Op           string        `json:"op"`
	Registration *Registration `json:"registration,omitempty"`
	ID           string        `json:"id,omitempty"`
	After        string        `json:"after,omitempty"`
	Explain      *Explain      `json:"explain,omitempty"`
}

// Answer is one line from the server.
type Answer struct {
	N          uint64      `json:"n"`
	Error      *Error      `json:"error,omitempty"`
	Registered *Registered `json:"registered,omitempty"`
	Containers []Status    `json:"containers,omitempty"`
	Server     *Server     `json:"server,omitempty"`
	Part       []byte      `json:"part,omitempty"` // of an explain.Material
	More       bool        `json:"more,omitempty"`
}

// DecodeRequest parses one line and checks its shape, and every value that
// can be judged by itself. Fields it doesn't know are refused: a client newer
// than the server must not believe that what it asked for was done. The
// request's number is given with the error too, where it could be read.
func DecodeRequest(line []byte) (Request, error) {
	var r Request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Request{N: r.N}, Errorf(CodeMalformed, "request %.80q: %v", line, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Request{N: r.N}, Errorf(CodeMalformed, "request %.80q: more than one JSON value on a line", line)
	}
	if err := r.check(); err != nil {
		return Request{N: r.N}, err
	}
	return r, nil
}

// check reports what is missing from r, is not part of its operation, or
// can't be right.
func (r Request) check() error {
	hasRegistration, hasID, hasAfter := r.Registration != nil, r.ID != "", r.After != ""
	hasExplain := r.Explain != nil
	var fits bool
	switch r.Op {
	case OpRegister, OpResolve:
		fits = hasRegistration && !hasID && !hasAfter
	case OpUnregister:
		fits = !hasRegistration && hasID && !hasAfter
	case OpList:
		fits = !hasRegistration && !hasID
	case OpServer:
		fits = !hasRegistration && !hasID && !hasAfter
	case OpExplain:
		fits = !hasRegistration && !hasID && !hasAfter && hasExplain
	default:
		return Errorf(CodeMalformed, "request: op %.40q is none of %s, %s, %s, %s, %s, %s",
			r.Op, OpRegister, OpResolve, OpUnregister, OpList, OpServer, OpExplain)
	}
	switch {
	case !fits, hasExplain && r.Op != OpExplain:
		return Errorf(CodeMalformed, "request %s: a field is missing or belongs to another operation", r.Op)
	case hasRegistration:
		return r.Registration.check()
	case hasExplain:
		return r.Explain.check()
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
		return Errorf(CodeInvalid, "container %s: init process %d: not a process id", r.ID, r.InitPID)
	}
	if r.Owned && r.InitPID == 1 {
		return Errorf(CodeInvalid, "container %s: init process 1: the host's init can't be owned", r.ID)
	}
	if err := r.Choices.Check(); err != nil {
		return Errorf(CodeInvalid, "container %s: %v", r.ID, err)
	}
	return nil
}

func (e *Explain) check() error {
	if e.File == "" || len(e.File) > maxPath || e.Offset < 0 {
		return Errorf(CodeInvalid, "explain %.80q from byte %d on: not a file and an offset", e.File, e.Offset)
	}
	if e.ID == "" && e.Snapshot == 0 {
		return Errorf(CodeInvalid, "explain %.80q: neither a container nor a snapshot is named", e.File)
	}
	if e.ID == "" {
		return nil
	}
	return checkID(e.ID)
}

// Part cuts what one answer to "explain" can hold out of the whole, from offset on;
// more says that this wasn't the rest.
func Part(whole []byte, offset int) (part []byte, more bool, err error) {
	if offset > len(whole) {
		return nil, false, Errorf(CodeInvalid, "explain from byte %d on: the answer has %d", offset, len(whole))
	}
	part = whole[offset:]
	if len(part) > PartSize {
		return part[:PartSize], true, nil
	}
	return part, false, nil
}

// checkID keeps out what can't be a file name or would not be readable in a
// log.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return Errorf(CodeInvalid, "container id %.40q: has %d bytes, may have 1 to %d", id, len(id), maxID)
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && (c == '.' || c == '+' || c == ':' || c == '@' || c == '-' || c == '\\'):
		default:
			return Errorf(CodeInvalid, "container id %.40q: %q is not allowed at position %d", id, c, i+1)
		}
	}
	return nil
}

// EncodeLine gives v, a request or an answer, as a line, or an error when it
// would be too long.
func EncodeLine(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(line)+1 > MaxLine {
		return nil, Errorf(CodeInvalid, "message of %d bytes: at most %d fit a line", len(line)+1, MaxLine)
	}
	return append(line, '\n'), nil
}

// DecodeAnswer parses one line of the server. Fields it doesn't know are
// passed over: a newer server may tell more.
func DecodeAnswer(line []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return Answer{}, fmt.Errorf("answer %.80q: %w", line, err)
	}
	return a, nil
}

// Page cuts containers, sorted by id, down to what one answer can hold.
func Page(containers []Status) (fitting []Status, more bool, err error) {
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

// ErrLineTooLong is what LineReader gives for a line of more than MaxLine bytes.
var ErrLineTooLong = Errorf(CodeMalformed, "line of more than %d bytes", MaxLine)

// LineReader reads lines of at most MaxLine bytes. Unlike bufio's readers it
// keeps the beginning of a line when reading fails (a deadline of the
// connection), so that the next call goes on where this one stopped.
type LineReader struct {
	R    io.Reader
	buf  []byte
	next int // where the first byte that was not yet handed out stands
}

// Read returns the next line without its line feed; it is valid until the
// next call. A last line without line feed is dropped: its writer died.
func (l *LineReader) Read() ([]byte, error) {
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
			return nil, ErrLineTooLong
		}
		if len(l.buf) == cap(l.buf) {
			grown := make([]byte, len(l.buf), min(max(512, 2*cap(l.buf)), MaxLine))
			copy(grown, l.buf)
			l.buf = grown
		}
		n, err := l.R.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}
