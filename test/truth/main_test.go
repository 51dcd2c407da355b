// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// toolPath is where this binary is in a container.
const toolPath = "/truth-tool"

// What it can be there: toolPath PART [ARG].
const (
	partAgent = "agent" // see serve
	partBurn  = "burn"  // PERCENT of one CPU: see burn
	partHold  = "hold"  // BYTES: see hold
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case partAgent:
			os.Exit(part(serve(os.Stdin, os.Stdout)))
		case partBurn:
			os.Exit(part(burn(os.Args[2])))
		case partHold:
			os.Exit(part(hold(os.Args[2])))
		}
	}
	os.Exit(m.Run())
}

func part(err error) (status int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "truth-tool:", err)
		return 1
	}
	return 0
}

// burnTurn is how often a burner of less than a CPU rests.
const burnTurn = 20 * time.Millisecond

// burn uses this percentage of one CPU until it is killed: of CPU time, so that
// it means the same on a machine that others use.
func burn(percent string) error {
	n, err := strconv.Atoi(percent)
	if err != nil {
		return err
	}
	busy := burnTurn * time.Duration(n) / 100
	for {
		turn := time.Now()
		for end := cpuTime() + busy; cpuTime() < end; {
			continue
		}
		if n < 100 {
			time.Sleep(burnTurn - time.Since(turn))
		}
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// hold waits for a line on its standard input, then uses so many bytes of anonymous
// memory until there is another or the end.
func hold(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	// Not the garbage collector's, so that it is exactly this much.
	memory, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	if _, err := in.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
