// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// commands are those that `--help` lists.
func commands(t *testing.T, p *program) []string {
	t.Helper()
	text := p.do(t, "--help").text(t)
	_, list, ok := strings.Cut(text, "Available Commands:\n")
	if !ok {
		t.Fatalf("no commands in:\n%s", text)
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for line := range strings.Lines(list) {
		if name := fields(line)[0]; name != "help" {
			names = append(names, name)
		}
	}
	return names
}

// examples are the command lines that a command's help shows.
func examples(t *testing.T, p *program, args ...string) []string {
	t.Helper()
	text := p.do(t, append(args, "--help")...).text(t)
	_, list, ok := strings.Cut(text, "Examples:\n")
	if !ok {
		t.Errorf("%v: no examples", args)
		return nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var lines []string
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSuffix(strings.TrimSpace(line), " &")
		if rest, ok := strings.CutPrefix(line, "procfs-shim "); ok {
			lines = append(lines, rest)
		} else {
			t.Errorf("%v: an example of something else: %q", args, line)
		}
	}
	return lines
}

// TestHelp: every command has examples, and each is a command line that the
// program takes. With --help before the command that it runs, an example is
// parsed and not executed.
func TestHelp(t *testing.T) {
	p := setup(t)
	names := commands(t, p)
	for _, name := range []string{"run", "serve", "mount", "unmount", "status", "bench"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
			t.Errorf("no command %s among %v", name, names)
		}
	}
	all := examples(t, p)
	for _, name := range names {
		of := examples(t, p, name)
		if len(of) == 0 {
			t.Errorf("%s: no example", name)
		}
		for _, line := range of {
			// umount is unmount by its other name.
			if first := fields(line)[0]; first != name && first+name != "umountunmount" {
				t.Errorf("%s: an example of another command: %s", name, line)
			}
		}
		all = append(all, of...)
	}
	for _, line := range all {
		before, after, _ := strings.Cut(line, " -- ")
		args := append(fields(before), "--help")
		if after != "" {
			args = append(append(args, "--"), fields(after)...)
		}
		r := p.do(t, args...)
		if !strings.Contains(r.text(t), "Usage:") || r.err != "" {
			t.Errorf("%s: %s%s", line, r.out, r.err)
		}
	}
}

// TestExamplesOfRun pastes the examples of `run` into a shell, as they are.
func TestExamplesOfRun(t *testing.T) {
	p := setup(t)
	for _, line := range examples(t, p, "run") {
		// Their directories are the machine's own; the test brings its.
		line = strings.Replace(line, "run ", "run --state-dir "+p.state+" --data-dir "+p.data+" ", 1)
		cmd := exec.Command("sh", "-c", p.path+" "+line)
		if !strings.Contains(line, " -it ") {
			if out := finish(t, cmd).text(t); out == "" {
				t.Errorf("%s: silence", line)
			}
			continue
		}
		term := openTerminal(t, 24, 80)
		b := onTerminal(t, term, cmd)
		term.typed(t, "echo works $((1+1))\r")
		term.shows(t, "works 2")
		term.typed(t, "exit\r")
		if status := b.wait(t); status != 0 {
			t.Errorf("%s: exit status %d; %s", line, status, term.end())
		}
	}
}

// TestVersion prints something that identifies the build.
func TestVersion(t *testing.T) {
	p := setup(t)
	text := p.do(t, "--version").text(t)
	if !strings.HasPrefix(text, "procfs-shim ") || len(fields(text)) < 2 {
		t.Errorf("--version: %q", text)
	}
	dir := filepath.Join(t.TempDir(), "man")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.do(t, "man", dir).is(t, "")
	for _, name := range append(commands(t, p), "") {
		path := filepath.Join(dir, strings.TrimSuffix("procfs-shim-"+name, "-")+".1")
		if !strings.Contains(file(t, path), ".TH") {
			t.Errorf("%s is no man page", path)
		}
	}
}

// TestNotRoot: an ordinary user is told at once.
func TestNotRoot(t *testing.T) {
	p := setup(t)
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"run", "--rootfs", "/", "--", "true"}, 125},
		{[]string{"serve"}, 1},
		{[]string{"mount", "--all"}, 1},
		{[]string{"unmount", "--all"}, 1},
		{[]string{"status"}, 1},
		{[]string{"bench"}, 1},
	} {
		cmd := p.command(c.args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		finish(t, cmd).refused(t, c.status, "needs root", "sudo")
	}
	cmd := p.command("--help")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	finish(t, cmd).text(t)
}
