// SPDX-License-Identifier: Apache-2.0

package nullfs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// The lines by which Run tells how far it is.
const (
	saysMounted = "mounted"
	saysServing = "serving"
)

// Run is a process that serves: it mounts an empty tree on mountpoint, says so,
// reads the files (a JSON object of texts by paths) from in, says that it serves
// them, and unmounts when in ends. Whatever kills its parent ends it.
func Run(mountpoint string, in io.Reader, out io.Writer) (err error) {
	s, err := Mount(mountpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := fmt.Fprintln(out, saysMounted); err != nil {
		return fmt.Errorf("null server: %w", err)
	}
	texts := json.NewDecoder(in)
	var files map[string]string
	if err := texts.Decode(&files); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // no longer wanted
		}
		return fmt.Errorf("null server: read its files: %w", err)
	}
	if err := s.Set(files); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, saysServing); err != nil {
		return fmt.Errorf("null server: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("null server: wait for the end: %w", err)
	}
	return nil
}

// Process is a process that executes Run, as its parent sees it.
type Process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts cmd, which is to execute Run, and returns when the tree is mounted.
func Start(cmd *exec.Cmd) (*Process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the null server: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the null server: %w", err), in.Close())
	}
	p := &Process{cmd, in, bufio.NewReader(out)}
	if err := p.says(saysMounted); err != nil {
		return nil, errors.Join(fmt.Errorf("start the null server: %w", err), p.Close())
	}
	return p, nil
}

// Set gives the tree its files, once, and returns when they can be read.
func (p *Process) Set(files map[string]string) error {
	err := json.NewEncoder(p.in).Encode(files)
	if err == nil {
		err = p.says(saysServing)
	}
	if err != nil {
		return fmt.Errorf("null server: take files: %w", err)
	}
	return nil
}

func (p *Process) says(want string) error {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("it ended: %w", err)
	}
	if strings.TrimSpace(line) != want {
		return fmt.Errorf("it said %.80q, expected %q", line, want)
	}
	return nil
}

// Close has it unmount and waits for its end.
func (p *Process) Close() error {
	err := p.in.Close()
	if waited := p.cmd.Wait(); waited != nil {
		err = errors.Join(err, fmt.Errorf("null server: %w", waited))
	}
	return err
}
