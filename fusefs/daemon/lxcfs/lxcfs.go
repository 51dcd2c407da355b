// SPDX-License-Identifier: Apache-2.0

// Package lxcfs is LXCFS's command line for those who have it in their units
// and scripts: it turns the flags of LXCFS 5 to 7 into the rules of a server that
// shows what LXCFS would, where its own number isn't wrong.
//
// LXCFS differs from our defaults in what [Defaults] lists: its flags choose
// between that and ours ([Options.Flags]). In between comes the configuration
// file, whose [policy] somebody wrote for this program: a flag wins over the
// file, the file over what LXCFS does when it is told nothing.
//
// Some flags are about how LXCFS is made and mean nothing here; those whose
// absence somebody could notice are named by [Options.WithoutEffect].
//
// [Run] is the whole command: package daemon's server with these rules, in
// LXCFS's place, and the pidfile that LXCFS keeps ([LockPidfile]).
package lxcfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// Options are the flags that say what is served.
type Options struct {
	EnableLoadavg bool     // -l
	EnableCFS     bool     // --enable-cfs
	DisableSwap   bool     // -u
	DisableZswap  bool     // --disable-zswap
	EnablePSIPoll bool     // --enable-psi-poll
	FUSE          []string // -o, each with commas between options
}

// Defaults are what LXCFS shows without any flag: all CPUs of the cpuset, with
// numbers of its own, the host's load and counters, and the host's file where
// the container's can't be had.
func Defaults() policy.Choices {
	return policy.Choices{
		"cpu-view":      "cpuset",
		"cpu-numbering": "contiguous",
		"loadavg":       "host",
		"host-counters": "true",
		"on-error":      "host",
	}
}

// Flags are the choices that were made.
func (o Options) Flags() policy.Choices {
	c := policy.Choices{}
	if o.EnableCFS {
		c["cpu-view"] = "quota"
	}
	if o.EnableLoadavg {
		c["loadavg"] = "container"
	}
	if o.DisableSwap {
		c["swap"] = "none"
	}
	return c
}

// Rules are those of a server with these flags and this configuration file.
func (o Options) Rules(f config.File) policy.Rules {
	return policy.Rules{Policy: f.Policy.Over(Defaults()), Containers: f.Containers, Flags: o.Flags()}
}

// WithoutEffect says, a line each, which of the flags change nothing and why.
func (o Options) WithoutEffect() []string {
	var lines []string
	if o.EnablePSIPoll {
		lines = append(lines, "--enable-psi-poll has no effect: triggers can't be written to the files in /proc/pressure")
	}
	if o.DisableZswap {
		lines = append(lines, "--disable-zswap has no effect: Zswap and Zswapped are the container's own")
	}
	var unknown []string
	for _, all := range o.FUSE {
		for option := range strings.SplitSeq(all, ",") {
			name, _, _ := strings.Cut(option, "=")
			if option != "" && !slices.Contains(given(), name) {
				unknown = append(unknown, option)
			}
		}
	}
	if len(unknown) > 0 {
		lines = append(lines, fmt.Sprintf("-o %s has no effect: how the file system is mounted is fixed", strings.Join(unknown, ",")))
	}
	return lines
}

// given are the options of FUSE that hold here or stand for nothing that a
// reader could notice; LXCFS drops most of them, too.
func given() []string {
	return []string{"allow_other", "direct_io", "entry_timeout", "attr_timeout", "nonempty", "ro", "nosuid", "nodev", "noexec", "default_permissions"}
}
