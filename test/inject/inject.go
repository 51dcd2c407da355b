// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Action is what happens at the chosen call. The zero value lets it go on.
type Action struct {
	kill  bool
	errno unix.Errno
}

// Kill sends SIGKILL to the root process, whoever made the call. The call goes
// on, once the root process is dead, if another process made it.
func Kill() Action { return Action{kill: true} }

// Errno makes the call fail with e; it isn't executed.
func Errno(e unix.Errno) Action { return Action{errno: e} }

// String names the action.
func (a Action) String() string {
	switch {
	case a.kill:
		return "SIGKILL"
	case a.errno != 0:
		return unix.ErrnoName(a.errno)
	default:
		return "nothing"
	}
}

// Plan says where to do what.
type Plan struct {
	// At is the number of the call, from 1; 0 only counts.
	At     int
	Action Action
	// Kinds are those to count, all when empty.
	Kinds []Kind
	// Linger is how long descendants may live on after the root process's end
	// before Run stops waiting for them, 5 s when 0.
	Linger time.Duration
}

// Report is what a run was seen to do.
type Report struct {
	// Calls are those that were counted, in order.
	Calls []Call
	// Hit says that the call Plan.At was reached and the action done.
	Hit bool
	// State is how the root process ended.
	State *os.ProcessState
	// Lingering says that descendants were still alive after Plan.Linger.
	Lingering bool
	// Outlived is how long the last descendant lived after the root process's
	// end was noticed.
	Outlived time.Duration
}

// Total is the number of calls counted.
func (r Report) Total() int { return len(r.Calls) }

// Run executes a command, which must not be started yet, and returns when it
// and all its descendants have ended, or have lingered for too long. How the
// command ended is in the report, not in the error, which is that of the
// injection itself. When ctx ends, the root process is killed.
//
// cmd's Path and Args are replaced and its ExtraFiles added to; the command
// itself sees none of that.
func Run(ctx context.Context, cmd *exec.Cmd, plan Plan) (report Report, err error) {
	if cmd.Err != nil {
		return Report{}, fmt.Errorf("inject: %w", cmd.Err)
	}
	if plan.Linger == 0 {
		plan.Linger = 5 * time.Second
	}
	if len(plan.Kinds) == 0 {
		plan.Kinds = Kinds()
	}
	// A descendant that holds the command's output must not keep the command's
	// own end from being noticed.
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = plan.Linger
	}
	listener, err := start(cmd, plan.Kinds)
	if err != nil {
		return Report{}, err
	}
	// The descriptor is closed before Run returns: a call that still waits, or
	// comes later, then gets ENOSYS.
	defer func() { err = errors.Join(err, listener.Close()) }()
	// Taken before anything waits for the process, when its id is still its own.
	root, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return Report{}, errors.Join(fmt.Errorf("inject: pidfd_open: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	defer func() { _ = unix.Close(root) }() // a pidfd has nothing to write back
	n := &notifier{
		listener: listener,
		root:     root,
		pid:      cmd.Process.Pid,
		plan:     plan,
		calls:    pick(plan.Kinds),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in ProcessState
	}()
	n.serve(ctx, ended)
	n.report.State = cmd.ProcessState
	return n.report, n.err
}

// start executes the command by way of the wrapper and returns the listener.
func start(cmd *exec.Cmd, kinds []Kind) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("inject: socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer func() { _ = ours.Close() }() // carries one message, which was read or not

	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	socket := 3 + len(cmd.ExtraFiles) // os/exec numbers them from 3
	cmd.ExtraFiles = append(slices.Clip(cmd.ExtraFiles), theirs)
	cmd.Args = append([]string{wrapperName, strconv.Itoa(socket), strings.Join(names, ","), cmd.Path}, cmd.Args...)
	cmd.Path = "/proc/self/exe"
	err = cmd.Start()
	_ = theirs.Close() // the wrapper has its own; ours must see its end
	if err != nil {
		return nil, fmt.Errorf("inject: start: %w", err)
	}
	listener, err := receive(int(ours.Fd()))
	if err != nil {
		// The wrapper said why on its standard error, and ended.
		return nil, errors.Join(fmt.Errorf("inject: no listener from the wrapper (does TestMain call inject.Main?): %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	return listener, nil
}

// receive takes the descriptor that the wrapper passes, unix(7).
func receive(socket int) (*os.File, error) {
	var data [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	n, controls, _, _, err := unix.Recvmsg(socket, data[:], control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("it ended")
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil {
		return nil, err
	}
	for _, message := range messages {
		if fds, err := unix.ParseUnixRights(&message); err == nil && len(fds) == 1 {
			return os.NewFile(uintptr(fds[0]), "seccomp listener"), nil
		}
	}
	return nil, errors.New("a message without a descriptor")
}
