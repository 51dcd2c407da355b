// SPDX-License-Identifier: Apache-2.0

package served

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// roleVariable says what a process that is this binary is to be.
const roleVariable = "PROCFS_SHIM_TEST_ROLE"

// The roles.
const (
	roleTests  = "tests"  // the tests themselves, in their mount namespace
	roleServer = "server" // see Start
	roleReader = "reader" // see StartReader
	roleChild  = "child"  // reads one file, for a reader
)

// Main is the body of TestMain. It doesn't return.
func Main(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleServer:
		os.Exit(talk(serve))
	case roleReader:
		os.Exit(talk(readFor))
	case roleChild:
		os.Exit(child())
	case roleTests:
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run()) // the gates of testenv say what is missing
	}
	os.Exit(unshared())
}

// unshared runs this binary again in a private mount namespace.
func unshared() int {
	// The child is killed when the thread that started it ends.
	goruntime.LockOSThread()
	cmd := again(roleTests, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "run the tests in a mount namespace of their own:", err)
	return 1
}

// again is a command that runs this binary in a role.
func again(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// A message is a request or an answer on the pipe to a server or reader.
type message struct {
	Op     string            `json:"op,omitempty"`
	ID     string            `json:"id,omitempty"`
	Path   string            `json:"path,omitempty"`
	Join   []string          `json:"join,omitempty"`
	FD     int               `json:"fd,omitempty"`
	Size   int               `json:"size,omitempty"`
	Offset int64             `json:"offset,omitempty"`
	Text   []byte            `json:"text,omitempty"`
	Counts map[string]uint64 `json:"counts,omitempty"`
	Error  string            `json:"error,omitempty"`
	Errno  int               `json:"errno,omitempty"`
}

// talk answers the requests on standard input until it ends. The function that
// answer returns answers one; the first is called before any request.
func talk(start func(args []string) (answer func(message) (message, error), err error)) int {
	answer, err := start(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "test process:", err)
		return 1
	}
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var request message
		if err := in.Decode(&request); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "test process:", err)
				return 1
			}
			return 0
		}
		reply, err := answer(request)
		if err != nil {
			reply.Error = err.Error()
			var errno unix.Errno
			if errors.As(err, &errno) {
				reply.Errno = int(errno)
			}
		}
		if err := out.Encode(reply); err != nil {
			return 1
		}
	}
}

// A peer is the other end of talk.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// start runs a command that talks.
func start(t testing.TB, cmd *exec.Cmd) *peer {
	t.Helper()
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
	return &peer{cmd: cmd, in: in, out: json.NewDecoder(bufio.NewReader(out))}
}

// answerError is an error that the other process had.
type answerError struct {
	text  string
	errno unix.Errno
}

func (e *answerError) Error() string { return e.text }

// Unwrap gives the error number, so that errors.Is finds it.
func (e *answerError) Unwrap() error { return e.errno }

// ask sends a request and returns its answer.
func (p *peer) ask(request message) (message, error) {
	if err := json.NewEncoder(p.in).Encode(request); err != nil {
		return message{}, fmt.Errorf("ask a test process: %w", err)
	}
	var reply message
	if err := p.out.Decode(&reply); err != nil {
		return message{}, fmt.Errorf("ask a test process: %w", err)
	}
	if reply.Error != "" {
		return reply, &answerError{reply.Error, unix.Errno(reply.Errno)}
	}
	return reply, nil
}

// stop lets the process end by itself, or kills it.
func (p *peer) stop(kill bool) {
	if kill {
		_ = p.cmd.Process.Kill() // it may have ended already
	}
	_ = p.in.Close()
	_ = p.cmd.Wait() // how it ended was the test's to judge
}
