// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// livingProcess starts a process that lives until the test's end or somebody
// kills it.
func livingProcess(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may be gone already
		cmd.Wait()         //nolint:errcheck // its status says that it was killed
	})
	return cmd
}

func TestParseStat(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		start      uint64
		dead, bad  bool
	}{
		{"sleeping", "17 (sh) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234567 22 33", 1234567, false, false},
		{"hostile name", "17 (a) Z 1 (b\n) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234567 22 33", 1234567, false, false},
		{"zombie", "17 (sh) Z 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234567 22 33", 1234567, true, false},
		{"first thread ended", "17 (sh) Z 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 4 0 1234567 22 33", 1234567, false, false},
		{"dead", "17 (sh) X 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 0 0 1234567 22 33", 1234567, true, false},
		{"empty", "", 0, false, true},
		{"short", "17 (sh) S 1 2", 0, false, true},
		{"no number", "17 (sh) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 soon 22 33", 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start, dead, err := parseStat([]byte(tt.text))
			if (err != nil) != tt.bad || err == nil && (start != tt.start || dead != tt.dead) {
				t.Errorf("parseStat = %d, %v, %v", start, dead, err)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (sh) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234567 22 33"))
	f.Add([]byte("17 (a) Z 1 (b\n) S 1"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		parseStat(text) //nolint:errcheck // it must not panic
	})
}

func TestStartTime(t *testing.T) {
	p := Table{Root: "/proc"}
	first, err := p.StartTime(os.Getpid())
	if err != nil || first == 0 {
		t.Fatalf("own start time: %d, %v", first, err)
	}
	second, err := p.StartTime(os.Getpid())
	if err != nil || second != first {
		t.Errorf("asked again: %d, %v, want %d", second, err, first)
	}

	cmd := livingProcess(t)
	pid := cmd.Process.Pid
	start, err := p.StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(pid, start+1); !errors.Is(err, ErrGone) {
		t.Errorf("pidfd of a process that started at another time: %v", err)
	}
	fd, err := p.Open(pid, start)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := fd.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait for a living process: %v", err)
	}
	if err := fd.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := fd.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It is a zombie now, since nobody waited for it.
	if _, err := p.StartTime(pid); !errors.Is(err, ErrGone) {
		t.Errorf("start time of a zombie: %v", err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	if _, err := p.StartTime(pid); !errors.Is(err, ErrGone) {
		t.Errorf("start time of no process: %v", err)
	}
	if err := fd.Kill(); err != nil {
		t.Errorf("kill of a dead process: %v", err)
	}
}
