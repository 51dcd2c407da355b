// SPDX-License-Identifier: Apache-2.0

// Package console connects the caller's terminal with the terminal of a
// container, for `run --tty`.
//
// What it turns into what: the master of a container's pseudo terminal (package
// initproc opened it in the container's own devpts) and the caller's stdin and
// stdout become a [Session] that copies both ways until it is closed.
//
//	caller's terminal                         container
//	stdin  ──read──►  Session  ──write──►  master │ slave  ──►  /dev/console
//	stdout ◄─write──           ◄──read───         │        ◄──
//
// While a session lasts, the caller's terminal is in raw mode: keys such as
// Ctrl-C and Ctrl-Z are bytes for the container, whose terminal makes signals of
// them, and bytes of the container's output aren't changed a second time. The
// window size follows (SIGWINCH), and raw mode comes back when a stopped caller
// is continued (SIGCONT), since a shell resets it meanwhile. Without a stdin
// the terminal's mode is left alone, as by docker's -t without -i.
//
// A process in the background that changes its terminal's mode is stopped
// (SIGTTOU), so whoever is there leaves it alone: the mode is the shell's then.
//
// # No goroutine outlives Close
//
// A blocked read(2) of a terminal can't be interrupted, nor may stdin be made
// non-blocking, since it is shared with the shell. So every descriptor is
// waited for with poll(2) together with a pipe that Close closes.
package console
