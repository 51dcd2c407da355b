// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"os"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestRefused gives values that are impossible or in conflict: one line that
// names the flag, status 125, and nothing is made.
func TestRefused(t *testing.T) {
	p := setup(t)
	before, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	const beyond = "60000" // no host has that many CPUs
	const two63 = "9223372036854775808"
	for _, c := range []struct {
		flags []string
		words []string
	}{
		{[]string{"--memory", "5m"}, []string{"--memory: 5m", "6 MiB"}},
		{[]string{"--memory", "6291455"}, []string{"--memory", "6 MiB"}},
		{[]string{"--memory", two63}, []string{"--memory", "2^63"}},
		{[]string{"--memory", "8589934592g"}, []string{"--memory", "2^63"}},
		{[]string{"--memory", "much"}, []string{"--memory: much", "512m"}},
		{[]string{"--memory=-1"}, []string{"--memory"}},
		{[]string{"--memory", "64m", "--memory-swap", "63m"}, []string{"--memory-swap: 63m", "--memory 64m"}},
		{[]string{"--memory-swap", "64m"}, []string{"--memory-swap: 64m", "--memory"}},
		{[]string{"--memory", "64m", "--memory-reservation", "65m"}, []string{"--memory-reservation: 65m", "--memory 64m"}},
		{[]string{"--memory-reservation", "1m"}, []string{"--memory-reservation: 1m", "6 MiB"}},
		{[]string{"--memory", "64m", "--memory-swap", two63}, []string{"--memory-swap", "2^63"}},
		{[]string{"--cpus", "1", "--cpu-quota", "50000"}, []string{"--cpus: 1", "--cpu-quota 50000"}},
		{[]string{"--cpus", "1", "--cpu-period", "50000"}, []string{"--cpus: 1", "--cpu-period 50000"}},
		{[]string{"--cpus", "0.001"}, []string{"--cpus: 0.001", "0.01"}},
		{[]string{"--cpus", "100000"}, []string{"--cpus: 100000", "CPUs of this host"}},
		{[]string{"--cpus", "one"}, []string{"--cpus: one"}},
		{[]string{"--cpus", "1e0"}, []string{"--cpus: 1e0"}},
		{[]string{"--cpus=-1"}, []string{"--cpus"}},
		{[]string{"--cpu-period", "999"}, []string{"--cpu-period: 999", "1000"}},
		{[]string{"--cpu-period", "1000001"}, []string{"--cpu-period: 1000001", "1000000"}},
		{[]string{"--cpu-quota", "999"}, []string{"--cpu-quota: 999", "1 ms"}},
		{[]string{"--cpu-quota=-2"}, []string{"--cpu-quota: -2"}},
		{[]string{"--cpu-quota", "9223372036854775807"}, []string{"--cpu-quota"}},
		{[]string{"--cpu-quota", two63}, []string{"cpu-quota", two63}},
		{[]string{"--cpu-shares", "1"}, []string{"--cpu-shares: 1", "262144"}},
		{[]string{"--cpu-shares", "262145"}, []string{"--cpu-shares: 262145", "262144"}},
		{[]string{"--cpuset-cpus", beyond}, []string{"--cpuset-cpus: " + beyond, "not available"}},
		{[]string{"--cpuset-cpus", "0-" + beyond}, []string{"--cpuset-cpus", "not available"}},
		{[]string{"--cpuset-cpus", "1-0"}, []string{"--cpuset-cpus: 1-0"}},
		{[]string{"--cpuset-cpus", "zero"}, []string{"--cpuset-cpus: zero"}},
		{[]string{"--cpuset-cpus", "99999999999999999999"}, []string{"--cpuset-cpus"}},
		{[]string{"--cpuset-mems", "63"}, []string{"--cpuset-mems: 63", "not available"}},
		{[]string{"--pids-limit=-2"}, []string{"--pids-limit: -2"}},
		{[]string{"--pids-limit", "4194305"}, []string{"--pids-limit: 4194305"}},
		{[]string{"--blkio-weight", "9"}, []string{"--blkio-weight: 9", "10 to 1000"}},
		{[]string{"--blkio-weight", "1001"}, []string{"--blkio-weight: 1001", "10 to 1000"}},
		{[]string{"--device-read-bps", "/dev/no-such-disk:1mb"}, []string{"--device-read-bps", "/dev/no-such-disk"}},
		{[]string{"--device-write-bps", "/dev/null:1mb"}, []string{"--device-write-bps", "/dev/null"}},
		{[]string{"--device-read-iops", "/dev/null"}, []string{"--device-read-iops"}},
		{[]string{"--device-write-iops", "/dev/null:-1"}, []string{"--device-write-iops"}},
		{[]string{"--user", "a:b:c"}, []string{"--user: a:b:c"}},
		{[]string{"--user", "4294967296"}, []string{"--user: 4294967296"}},
		{[]string{"--workdir", "relative"}, []string{"--workdir: relative", "absolute"}},
		{[]string{"--hostname", "two words"}, []string{"--hostname", "host name"}},
		{[]string{"--env", "=x"}, []string{"--env: =x"}},
		{[]string{"--network", "bridge"}, []string{"--network: bridge"}},
		{[]string{"--cap-add", "FLY"}, []string{"--cap-add: FLY"}},
		{[]string{"--cap-add", "ALL", "--cap-drop", "ALL"}, []string{"--cap-add: ALL", "--cap-drop"}},
		{[]string{"--security-opt", "seccomp=profile.json"}, []string{"--security-opt", "not supported"}},
		{[]string{"--no-such-flag"}, []string{"--no-such-flag", "--help"}},
		{[]string{"--memory"}, []string{"--memory"}},
	} {
		args := append(append([]string{"run", "--rootfs", box(t)}, c.flags...), "--", "true")
		if len(c.flags) == 1 && c.flags[0] == "--memory" {
			args = args[:len(args)-2] // the flag without its value
		}
		p.do(t, args...).refused(t, 125, c.words...)
	}
	p.do(t, "run", "--rootfs", box(t)).refused(t, 125, "COMMAND")
	p.do(t, "run", "--", "true").refused(t, 125, "--rootfs")
	p.do(t, "run", "--rootfs", box(t), "--", "").refused(t, 125, "command")

	for _, dir := range []string{p.state, p.data} {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made: %v", dir, tree(t, dir))
		}
	}
	if leaks, err := before.Since(); err != nil || len(leaks) > 0 {
		t.Errorf("something was made: %v\n%s", err, testenv.Report(leaks))
	}
}

// TestUsage: the other commands' command lines.
func TestUsage(t *testing.T) {
	p := setup(t)
	for _, c := range []struct {
		args, words []string
	}{
		{[]string{"mount"}, []string{"TARGET", "--all"}},
		{[]string{"mount", "--all", "web"}, []string{"--all", "web"}},
		{[]string{"mount", "web", "--exclude", "db"}, []string{"--exclude", "--all"}},
		{[]string{"mount", "web", "--file", "kcore"}, []string{"--file", "kcore", "meminfo", "cpu/online"}},
		{[]string{"unmount"}, []string{"TARGET", "--all"}},
		{[]string{"umount", "web", "--file", "../meminfo"}, []string{"--file", "../meminfo"}},
		{[]string{"status", "--output", "xml"}, []string{"--output", "xml", "table", "json"}},
		{[]string{"status", "web"}, []string{"web"}},
		{[]string{"serve", "/a", "/b"}, []string{"arg"}},
		{[]string{"serve", "--log-level", "loud"}, []string{"--log-level", "loud", "debug"}},
		{[]string{"serve", "--log-format", "xml"}, []string{"--log-format", "xml", "json"}},
		{[]string{"bench", "--mode", "tepid"}, []string{"--mode", "tepid"}},
		{[]string{"bench", "--readers", "0"}, []string{"--readers", "0"}},
		{[]string{"bench", "--duration", "1ns"}, []string{"--duration", "100ms"}},
		{[]string{"bench", "--output", "xml"}, []string{"--output", "xml"}},
		{[]string{"bench", "--file", "version"}, []string{"--file", "version"}},
		{[]string{"bench", "--against", "dir"}, []string{"--against", "NAME=DIR"}},
		{[]string{"bench", "--against", "kernel=/x"}, []string{"--against", "kernel"}},
		{[]string{"no-such-command"}, []string{"no-such-command"}},
		{[]string{"--no-such-flag"}, []string{"--no-such-flag"}},
	} {
		p.do(t, c.args...).refused(t, 2, c.words...)
	}
}
