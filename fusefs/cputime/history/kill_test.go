// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"
)

// serveVariable makes the test binary a server that never ends.
const serveVariable = "PROCFS_SHIM_TEST_HISTORY"

// A server that reads a container on 2000 CPUs (records of 20 pages) as fast as it
// can is killed again and again: what it has shown last is never lost.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(serveVariable); dir != "" {
		serve(dir)
		return
	}
	dir := t.TempDir()
	var last time.Duration
	for i := range 20 {
		server := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		server.Env = append(os.Environ(), serveVariable+"="+dir)
		out, err := server.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		shown := bufio.NewScanner(out)
		if !shown.Scan() {
			t.Fatal("the server shows nothing")
		}
		time.AfterFunc(time.Duration(i)*ms/4, func() { _ = server.Process.Kill() })
		for ok := true; ok; ok = shown.Scan() {
			if _, err := fmt.Sscan(shown.Text(), (*int64)(&last)); err != nil {
				t.Fatalf("%q: %v", shown.Text(), err)
			}
		}
		_ = server.Wait()
		if at := quiet(t, dir).Entry(web()).history.At(); at != last && at != last+time.Microsecond {
			t.Fatalf("round %d: %v was shown, the successor stands at %v", i, last, at)
		}
	}
}

// serve goes on from what is in dir and says where it is after each read.
func serve(dir string) {
	store, err := Open(dir, "boot", slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	e := store.Entry(web())
	now := max(10*s, e.history.At())
	for {
		now += time.Microsecond
		if _, err := e.Advance(nil, at(now, 2000)); err != nil {
			panic(err)
		}
		if _, err := fmt.Fprintf(os.Stdout, "%d\n", now); err != nil {
			panic(err)
		}
	}
}
