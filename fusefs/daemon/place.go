// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
)

// sharedName is what the shared tree's mount is called.
func (c Config) sharedName() fusefs.MountName {
	if c.LXCFS {
		return fusefs.LXCFSName()
	}
	return fusefs.OurName()
}

// hangups are the signals that ask for other rules.
func (c Config) hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	if c.Reload == nil {
		return signals, func() {}
	}
	signal.Notify(signals, unix.SIGHUP)
	if c.LXCFS {
		signal.Notify(signals, unix.SIGUSR1)
	}
	return signals, func() { signal.Stop(signals) }
}

// toggles are the signals that ask to show the host, or the containers again.
func (c Config) toggles() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	if c.LXCFS {
		signal.Notify(signals, unix.SIGUSR2)
	}
	return signals, func() { signal.Stop(signals) }
}

// toggle tells the shared tree at each signal, until ctx ends.
func (c Config) toggle(ctx context.Context, signals <-chan os.Signal, showHost func(bool)) {
	for host := true; ; host = !host {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		showHost(host)
		if host {
			c.Log.Warn("every reader of the shared tree is shown the host, until SIGUSR2 comes again")
		} else {
			c.Log.Info("readers of the shared tree are shown their containers again")
		}
	}
}
