// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// each calls f for every command but cobra's own.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			each(sub, f)
		}
	}
}

// TestExamples has each example of each command name a command and flags that
// are there.
func TestExamples(t *testing.T) {
	root := newRootCommand()
	each(root, func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s: no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "&"))
			if len(words) == 0 {
				continue
			}
			if words[0] != "procfs-shim" {
				t.Errorf("%s: example %q is no command of ours", c.CommandPath(), line)
				continue
			}
			// A tree of its own: parsed flags stay.
			found, args, err := newRootCommand().Find(words[1:])
			if err == nil {
				err = found.ParseFlags(args)
			}
			if err == nil && found.Args != nil {
				err = found.Args(found, found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// TestUsageErrors checks that a wrong command line does nothing and ends with
// the status that docs/EXIT-CODES.md says.
func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"run", exitRunFailure, "COMMAND"},
		{"run true", exitRunFailure, "--rootfs"},
		{"run --nonsense true", exitRunFailure, "--nonsense"},
		{"run --cpu-period x --rootfs / true", exitRunFailure, "--cpu-period"},
		{"nonsense", exitUsage, "no command"},
		{"serve a b", exitUsage, "2"},
		{"serve --log-level loud", exitUsage, "--log-level"},
		{"serve --log-format xml", exitUsage, "--log-format"},
		{"serve --cpu-view qouta", exitUsage, "quota, cpuset, host"},
		{"run --host-counters=maybe --rootfs / true", exitRunFailure, "false, true"},
		{"run --files memifo --rootfs / true", exitRunFailure, "is it meminfo?"},
		{"mount --swap some web", exitUsage, "limit, none"},
		{"mount --file meminfo --files all web", exitUsage, "not both"},
		{"config check a b", exitUsage, "2"},
		{"config chekc", exitUsage, "chekc"},
		{"mount", exitUsage, "TARGET"},
		{"mount --all web", exitUsage, "--all"},
		{"mount --exclude a b", exitUsage, "--exclude"},
		{"mount --file nonsense web", exitUsage, "meminfo"},
		{"unmount", exitUsage, "TARGET"},
		{"status --output xml", exitUsage, "--output"},
		{"explain web", exitUsage, "2"},
		{"explain web memifo", exitUsage, "is it meminfo?"},
		{"explain web meminfo --output xml", exitUsage, "--output"},
		{"explain web meminfo --snapshot -1", exitUsage, "--snapshot"},
		{"bench --mode lukewarm", exitUsage, "--mode"},
		{"bench --readers 0", exitUsage, "--readers"},
		{"bench --duration 1ms", exitUsage, "--duration"},
		{"bench --against lxcfs", exitUsage, "NAME=DIR"},
		{"bench --against kernel=/", exitUsage, "taken"},
	} {
		root := newRootCommand()
		root.SetArgs(strings.Fields(c.line))
		err := root.Execute()
		status, ok := err.(exitStatus) //nolint:errorlint // it is what main looks for, unwrapped
		if !ok || status.code != c.code || !strings.Contains(status.Error(), c.says) {
			t.Errorf("%s: %v (%+v), want status %d and %q", c.line, err, status, c.code, c.says)
		}
	}
}

// TestEngines: rules match by the names that containers are found under.
func TestEngines(t *testing.T) {
	found := []string{discover.Docker, discover.Podman, discover.Containerd, discover.CRIO, discover.LXC, discover.Shim}
	if got := policy.Engines(); !slices.Equal(got, found) {
		t.Errorf("rules know %q, found are %q", got, found)
	}
}

// TestPolicyFlags: serve, run and mount have a flag for each option; what isn't
// given isn't chosen, a bool can be switched off, the last one counts.
func TestPolicyFlags(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"run"}, {"mount"}} {
		cmd, _, err := newRootCommand().Find(args)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range policy.Options() {
			if cmd.Flags().Lookup(o.Name) == nil {
				t.Errorf("%s: no --%s", args, o.Name)
			}
		}
	}
	for line, want := range map[string]policy.Choices{
		"":                      nil,
		"--host-counters":       {"host-counters": "true"},
		"--host-counters=false": {"host-counters": "false"},
		"--cpu-view host --swap=none --cpu-view cpuset": {"cpu-view": "cpuset", "swap": "none"},
		"--files -meminfo": {"files": "-meminfo"},
	} {
		var got policy.Choices
		f := pflag.NewFlagSet("x", pflag.ContinueOnError)
		addPolicyFlags(f, &got, true)
		if err := f.Parse(strings.Fields(line)); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", line, got, err, want)
		}
	}
}

// TestExitCodes compares the constants with the documentation.
func TestExitCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/EXIT-CODES.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []int
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) `).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		documented = append(documented, n)
	}
	want := []int{exitOK, exitFailure, exitUsage, exitRunFailure, exitNotExecutable, exitNotFound, exitSignalBase}
	if !slices.Equal(documented, want) {
		t.Errorf("docs/EXIT-CODES.md has %v, the program %v", documented, want)
	}
}

// TestManPages has the hidden command write one for each command.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	root := newRootCommand()
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"procfs-shim", "procfs-shim-run", "procfs-shim-mount", "procfs-shim-bench", "procfs-shim-config-check"} {
		if text, err := os.ReadFile(dir + "/" + name + ".1"); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}
