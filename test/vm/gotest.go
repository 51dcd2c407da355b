// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// sourceDir is where package directories lie in the guest: tests find their
// testdata in their working directory, and go.mod above it.
const sourceDir = "/src"

// GuestProgram is the program's path in the guest.
const GuestProgram = "/usr/bin/procfs-shim"

// Program adds the program under test to the guest's files. It has to be
// static: there is no libc in the guest.
func Program(t testing.TB, c Config) Config {
	t.Helper()
	program := testenv.Binary(t)
	file, err := elf.Open(program)
	if err != nil {
		t.Fatalf("vm: the program under test: %v", err)
	}
	defer func() { _ = file.Close() }() // only read
	if file.Section(".interp") != nil {
		t.Fatalf("vm: %s is not static; 'make build' makes it so", program)
	}
	return c.withFile(GuestProgram, program)
}

func (c Config) withFile(there, here string) Config {
	files := map[string]string{there: here}
	for name, from := range c.Files {
		files[name] = from
	}
	c.Files = files
	return c
}

// packageEnd stands before the exit status of a test binary, in a line of its
// own.
const packageEnd = "@@package-status "

// RunTests compiles the tests of packages of this module ("fusefs/locate"),
// with the build tag e2e and without cgo, runs them in one machine and reports
// every test as a subtest of t, named PACKAGE/TEST. What a test logged is
// logged here. c.Script, if any, runs first.
func RunTests(t *testing.T, c Config, packages ...string) {
	t.Helper()
	root := testenv.ModuleRoot(t)
	c = Program(t, c).withFile(sourceDir+"/go.mod", filepath.Join(root, "go.mod"))
	script := []string{c.Script, "export " + testenv.BinaryVariable + "=" + GuestProgram}
	script = append(script, "export "+testenv.GuestVariable+"="+string(c.withDefaults().Cgroups))
	for _, name := range packages {
		binary, err := compile(root, name, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		there := path.Join(sourceDir, name)
		c = c.withFile(path.Join(there, "tests"), binary)
		data := filepath.Join(root, name, "testdata")
		if _, err := os.Stat(data); err == nil {
			c = c.withFile(path.Join(there, "testdata"), data)
		}
		script = append(script, fmt.Sprintf("cd %s && ./tests -test.v -test.timeout 12m -test.skip '%s'; status=$?; echo; echo '%s'%s $status", there, c.Skip, packageEnd, name))
	}
	c.Script = strings.Join(script, "\n")
	out := Run(t, c)
	results, ended := parse(out.Text)
	for _, r := range results {
		t.Run(r.Package+"/"+r.Test, r.report)
	}
	for _, name := range packages {
		status, there := ended[name]
		if !there || status != "0" {
			t.Errorf("%s: its tests' exit status is %q; all output:\n%s\nconsole:\n%s", name, status, out.Text, out.Console)
		}
	}
	if len(results) == 0 {
		t.Errorf("no test ran:\n%s", out.Text)
	}
}

// compile makes a static test binary.
func compile(root, name, dir string) (string, error) {
	binary := filepath.Join(dir, "tests")
	build := exec.Command("go", "test", "-c", "-tags", "e2e", "-o", binary, "./"+name)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("vm: compile the tests of %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// result is what one test of the guest did.
type result struct {
	Package, Test string
	Outcome       string // PASS, FAIL or SKIP
	Output        string
}

// report is the body of the subtest that stands for r.
func (r result) report(t *testing.T) {
	t.Helper()
	switch r.Outcome {
	case "FAIL":
		t.Errorf("failed in the guest:\n%s", r.Output)
	case "SKIP":
		testenv.SkipAsInGuest(t, r.Output)
	default:
		t.Logf("%s in the guest\n%s", r.Outcome, r.Output)
	}
}

// parse takes the output of test binaries with -test.v apart: each top-level
// test with all that was printed from its start to its end, and the exit status
// of each package. The tests of a package run one after the other, or print
// "=== NAME" and "=== CONT" lines when they take turns; then some output stands
// under the wrong test, but no outcome does.
func parse(text string) (results []result, ended map[string]string) {
	verdict := regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \(`)
	ended = map[string]string{}
	var output strings.Builder
	first := 0 // of the current package's results
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, packageEnd); ok {
			name, status, _ := strings.Cut(strings.TrimSpace(rest), " ")
			ended[name] = status
			for i := range results[first:] {
				results[first+i].Package = name
			}
			first = len(results)
			output.Reset()
			continue
		}
		output.WriteString(line)
		if found := verdict.FindStringSubmatch(line); found != nil {
			results = append(results, result{Test: found[2], Outcome: found[1], Output: output.String()})
			output.Reset()
		}
	}
	return results, ended
}
