// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"net"
)

// notifier returns a function that sends states to a service manager, as
// sd_notify(3) does: one datagram each to the socket that NOTIFY_SOCKET names.
// An empty name, outside of a service manager, makes it do nothing.
func notifier(socket string, log *slog.Logger) func(state string) {
	return func(state string) {
		if socket == "" {
			return
		}
		if err := notify(socket, state); err != nil {
			log.Warn("service manager not told", "state", state, "error", err)
		}
	}
}

func notify(socket, state string) error {
	// A name that begins with @ is in the abstract namespace, in NOTIFY_SOCKET
	// as in package net.
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the datagram is sent or it isn't
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %s: %w", socket, err)
	}
	return nil
}
