// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
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
		{"mount", exitUsage, "TARGET"},
		{"mount --all web", exitUsage, "--all"},
		{"mount --exclude a b", exitUsage, "--exclude"},
		{"mount --file nonsense web", exitUsage, "meminfo"},
		{"unmount", exitUsage, "TARGET"},
		{"status --output xml", exitUsage, "--output"},
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
	for _, name := range []string{"procfs-shim", "procfs-shim-run", "procfs-shim-mount", "procfs-shim-bench"} {
		if text, err := os.ReadFile(dir + "/" + name + ".1"); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}
