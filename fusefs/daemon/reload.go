// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// reload takes other rules each time that somebody hangs up, until ctx ends. A
// service manager is told as sd_notify(3) says of RELOADING=1.
func (c Config) reload(ctx context.Context, hangups <-chan os.Signal, apply func(policy.Rules)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			c.Log.Warn("clock", "error", err)
		}
		c.Notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
		if rules, err := c.Reload(); err != nil {
			c.Log.Error("the configuration isn't taken, the one in force stays", "error", err)
		} else {
			apply(rules)
			c.Log.Info("configuration read again", "policy", rules.Default().String(), "container_rules", len(rules.Containers))
		}
		c.Notify("READY=1")
	}
}
