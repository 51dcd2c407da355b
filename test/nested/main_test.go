// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package nested

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

// agentVariable makes a process that is this binary the init process of a box.
// Its value says whether the box has a PID namespace: then it has a /proc of that,
// too.
const (
	agentVariable = "PROCFS_SHIM_TEST_AGENT"
	ownProc       = "own-proc"
	itsProc       = "its-proc"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(agentVariable); kind != "" {
		if err := agent(kind, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	served.Main(m)
}

// reply says how a script of the agent's ended.
type reply struct {
	Output string // of both kinds
	Status int
}

// agent runs scripts, each a JSON string on its standard input, one after the
// other, until that ends. What they left in the background ends with it, where it
// is the init process of a PID namespace.
func agent(kind string, in io.Reader, out io.Writer) error {
	if err := os.Unsetenv(agentVariable); err != nil {
		return err
	}
	if kind == ownProc {
		// Nothing of this comes to any other namespace.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	answers := json.NewEncoder(out)
	if err := answers.Encode(reply{}); err != nil { // it runs
		return err
	}
	for scripts := json.NewDecoder(in); ; {
		var script string
		if err := scripts.Decode(&script); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		cmd := exec.Command("sh", "-c", script)
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		if err := answers.Encode(reply{string(text), cmd.ProcessState.ExitCode()}); err != nil {
			return err
		}
	}
}
