// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal whose far side a command has for its own, as
// from an emulator's window.
type terminal struct {
	master, slave *os.File
	shown         buffer
	read          sync.WaitGroup
}

func openTerminal(t *testing.T, rows, columns uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, slave: slave}
	term.resize(t, rows, columns)
	term.read.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			_, _ = term.shown.Write(b[:n]) // to memory
			if err != nil {
				return // EIO: the far side is closed
			}
		}
	})
	t.Cleanup(func() {
		slave.Close()
		master.Close()
		term.read.Wait()
	})
	return term
}

func (term *terminal) resize(t *testing.T, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(term.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// typed types keys.
func (term *terminal) typed(t *testing.T, keys string) {
	t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// shows waits until the text is on the screen.
func (term *terminal) shows(t *testing.T, text string) {
	t.Helper()
	if _, ok := poll(patience, func() bool { return strings.Contains(term.shown.String(), text) }); !ok {
		t.Fatalf("the terminal never showed %q but %s", text, term.end())
	}
}

// end quotes the end of what was shown.
func (term *terminal) end() string {
	text := term.shown.String()
	return fmt.Sprintf("…%q", text[max(0, len(text)-600):])
}

// flags are the terminal's local modes.
func (term *terminal) flags(t *testing.T) uint32 {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return modes.Lflag
}

// on starts a command of ours in a session of its own on the terminal.
func (p *program) on(t *testing.T, term *terminal, args ...string) *process {
	t.Helper()
	b := onTerminal(t, term, p.command(args...))
	b.sweep = p.sweep
	return b
}

// onTerminal starts cmd in a session of its own on the terminal.
func onTerminal(t *testing.T, term *terminal, cmd *exec.Cmd) *process {
	t.Helper()
	b := &process{Cmd: cmd, ended: make(chan struct{}), lines: make(chan string)}
	close(b.lines)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(b.ended)
		_ = cmd.Wait() // its status is in ProcessState
	}()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// TestTerminal works in a container as somebody at a terminal does.
func TestTerminal(t *testing.T) {
	p := setup(t)
	term := openTerminal(t, 33, 111)
	cooked := term.flags(t)
	b := p.on(t, term, "run", "-it", "--rootfs", box(t), "--", "sh")
	term.typed(t, "echo size $(stty size), term $TERM, tty $(tty)\r")
	term.shows(t, "size 33 111, term xterm, tty /dev/")
	if modes := term.flags(t); modes&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 {
		t.Errorf("our terminal isn't raw: local modes %#x", modes)
	}
	// Keys become signals inside, not here: sleep ends, the shell goes on.
	term.typed(t, "echo sleeping with $$; sleep 60; echo ended with $?\r")
	term.shows(t, "sleeping with 1\r")
	if _, ok := poll(patience, func() bool {
		term.typed(t, "\x03") // the first may come before sleep has started
		return strings.Contains(term.shown.String(), "^C")
	}); !ok {
		t.Fatalf("Ctrl-C: %s", term.end())
	}
	term.typed(t, "\recho still $((20+3))\r")
	term.shows(t, "still 23")
	// All descriptors are the same terminal, and job control works.
	term.typed(t, "test -t 0 && test -t 1 && test -t 2 && echo all $((1+2)) are\r")
	term.shows(t, "all 3 are")
	if strings.Contains(term.shown.String(), "job control turned off") {
		t.Errorf("the shell has no controlling terminal: %s", term.end())
	}
	term.typed(t, "exit 9\r")
	if status := b.wait(t); status != 9 {
		t.Errorf("exit status %d, want 9; %s", status, term.end())
	}
	if modes := term.flags(t); modes != cooked {
		t.Errorf("our terminal's local modes are %#x afterwards, were %#x", modes, cooked)
	}
}

// TestTerminalSize resizes the window while the command runs, below an init and
// without.
func TestTerminalSize(t *testing.T) {
	p := setup(t)
	const script = "trap 'echo resized to $(stty size)' WINCH; echo started with $(stty size); while :; do sleep 0.05; done"
	for _, flag := range []string{"--rm", "--init"} {
		term := openTerminal(t, 33, 111)
		b := p.on(t, term, "run", "-it", flag, "--name", "resized", "--rootfs", box(t), "--", "sh", "-c", script)
		term.shows(t, "started with 33 111\r")
		term.resize(t, 20, 70)
		term.shows(t, "resized to 20 70\r")
		term.resize(t, 50, 132)
		term.shows(t, "resized to 50 132\r")
		until(t, patience, "the end by Ctrl-C", func() bool {
			_, _ = term.master.WriteString("\x03") // one that comes between two sleeps ends nothing
			return b.hasEnded()
		})
		if status := b.wait(t); status != 130 {
			t.Errorf("%s: exit status %d; %s", flag, status, term.end())
		}
	}
}

// TestTerminalHangUp closes the window of a container.
func TestTerminalHangUp(t *testing.T) {
	p := setup(t)
	term := openTerminal(t, 24, 80)
	b := p.on(t, term, "run", "-it", "--name", "hung-up", "--rootfs", box(t), "--", "sh", "-c", "trap '' HUP; echo up; exec sleep 60")
	term.shows(t, "up")
	pid := p.statusOf(t, "hung-up").InitPID
	// The command ignores the hang-up; reads in the container go on.
	term.slave.Close()
	term.master.Close()
	for range 10 {
		readWithin(t, 5*time.Second, fmt.Sprintf("/proc/%d/root/proc/meminfo", pid))
	}
	kill(t, pid)
	b.wait(t)
}

// TestTerminalRefused: -t wants a terminal to give.
func TestTerminalRefused(t *testing.T) {
	p := setup(t)
	p.run(t, "-it", "--", "true").refused(t, 125, "--tty", "terminal")
	// Without -i nothing is read from ours, so none is needed there.
	p.run(t, "-t", "--", "sh", "-c", "test -t 1 && echo yes").is(t, "yes\r")
}
