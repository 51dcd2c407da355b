// SPDX-License-Identifier: Apache-2.0

// Package process runs the server that is measured, as a process of its own: a
// process that reads what it serves itself measures its own scheduler, and can
// wait for itself.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit is how long a server may take until it answers.
const startLimit = 10 * time.Second

// Server is a running one.
type Server struct {
	cmd   *exec.Cmd
	ended chan error
}

// Start starts cmd and returns when answers says that it does. The process gets a
// session of its own, and SIGTERM when the calling thread ends, which the caller
// therefore locks itself to.
func Start(ctx context.Context, cmd *exec.Cmd, answers func() error) (*Server, error) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s := &Server{cmd: cmd, ended: make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := answers()
		if err == nil {
			return s, nil
		}
		select {
		case err := <-s.ended:
			return nil, fmt.Errorf("start the server: it ended: %w", err)
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("start the server: %w: %w", err, context.Cause(ctx)), s.Stop())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// PID is the process' id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop has it end by SIGTERM, and waits.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the server: %w", err)
	}
	if err := <-s.ended; err != nil {
		return fmt.Errorf("the server ended: %w", err)
	}
	return nil
}
