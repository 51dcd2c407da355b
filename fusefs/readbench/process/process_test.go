// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"
)

// sh is a server: a script that should end well on SIGTERM.
func sh(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestServer(t *testing.T) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	ready := filepath.Join(t.TempDir(), "ready")
	s, err := Start(t.Context(), sh("trap 'exit 0' TERM; sleep 0.05; touch "+ready+"; while :; do sleep 0.02; done"), func() error {
		_, err := os.Stat(ready)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ready); err != nil || s.PID() <= 1 {
		t.Errorf("it doesn't answer yet: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if s, err = Start(t.Context(), sh("trap 'exit 3' TERM; while :; do sleep 0.02; done"), func() error {
		time.Sleep(100 * time.Millisecond) // until the trap is there
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("it ended with status 3: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	never := errors.New("it doesn't answer")
	answers := func() error { return never }
	if _, err := Start(t.Context(), exec.Command("/no/such/server"), answers); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
	if _, err := Start(t.Context(), sh("exit 7"), answers); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("it ended at once: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, exec.Command("sleep", "60"), answers); !errors.Is(err, never) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it never answers: %v", err)
	}
}
