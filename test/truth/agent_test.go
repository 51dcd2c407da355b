// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// request asks the agent to run a script, or to kill one that runs: one JSON
// value on its standard input.
type request struct {
	ID     int
	Script string // for sh -c; "" to kill the one with this ID
}

// reply says how a script ended: one JSON value on the agent's standard output.
type reply struct {
	ID     int
	Output string // standard output and error
	Status int    // -1 after a signal
}

// serve is the agent: it runs what it is asked for until its standard input
// ends. It is the container's init process, so that ends all that it started.
func serve(in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	running := map[int]*exec.Cmd{} // guarded by mu, as out is
	answers := json.NewEncoder(out)
	for requests := json.NewDecoder(in); ; {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if r.Script == "" {
			mu.Lock()
			if cmd := running[r.ID]; cmd != nil {
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ended by itself: the reply says so
			}
			mu.Unlock()
			continue
		}
		var said bytes.Buffer
		cmd := exec.Command("sh", "-c", r.Script)
		cmd.Stdout, cmd.Stderr = &said, &said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.WaitDelay = time.Second // for what it left in the background
		mu.Lock()
		err := cmd.Start()
		running[r.ID] = cmd
		mu.Unlock()
		if err != nil {
			return err
		}
		go func() {
			_ = cmd.Wait() // ProcessState has the status
			mu.Lock()
			defer mu.Unlock()
			delete(running, r.ID)
			// A reader that is gone ends the agent by the end of its input.
			_ = answers.Encode(reply{r.ID, said.String(), cmd.ProcessState.ExitCode()})
		}()
	}
}
