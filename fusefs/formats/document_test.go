// SPDX-License-Identifier: Apache-2.0

package formats_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

var update = flag.Bool("update", false, "write docs/FORMATS.md")

// Every file that is served is in the table.
func TestEveryFileIsThere(t *testing.T) {
	for _, f := range source.Files() {
		if _, ok := formats.Lookup(f.Path); !ok {
			t.Errorf("%s isn't in the table", f.Path)
		}
	}
}

// docs/FORMATS.md is the table.
func TestDocument(t *testing.T) {
	path := filepath.Join(testenv.ModuleRoot(t), "docs/FORMATS.md")
	want := document()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s isn't what the table says: go test ./fusefs/formats -run TestDocument -update", path)
	}
}

const introduction = `# Formats

Every field of every file that procfs-shim serves, and where its value comes from.
This page is made from the table in ` + "`fusefs/formats`" + `, which
` + "`procfs-shim explain TARGET FILE [FIELD]`" + ` reads, too: that command shows the same with a
container's numbers. A test changes each number of captured hosts, one at a time,
to see that it moves the fields that list it here, and no others.

| kind | the value is |
|---|---|
| host | the host's, unchanged |
| cgroup | one that the kernel keeps for the container's cgroup, in the file's unit, or cut down so that no part exceeds its whole |
| computed | made from several numbers |
| constant | always the same |
| invented | a name or number that nothing of the kernel's stands behind |

Words: the *chain* is the container's cgroup and every ancestor below the root;
*min over chain* is the smallest value of them. Differences never fall below 0. In
names # stands for a number and * for anything; the first row that fits counts.
Inputs are written v2's name, then v1's where it has another one, marked:

| mark | where the input is found |
|---|---|
| host | a file of the host |
| own | a file of the container's own cgroup |
| chain | that file at each level of the chain |
| nearest | that file at the nearest level that has one, the root included |
| shown | another field that the container is shown |
| term | one of the terms below, which no file shows |
| init, tasks, clock | the container's init process (start, time namespace), its tasks' states, the boot clock |

In the root cgroup, and with a policy of ` + "`host`" + ` where the file has one, a file is the
host's own. A key or file of the cgroup that isn't there counts as 0, or as no limit.

` + "`explain --output json`" + ` is an object; keys are added, never renamed:

| key | meaning |
|---|---|
| snapshot, held, time | the text's ID, whether it is held for readers (by an open file or, of static files, by the kernel), when it was made |
| file, container, cgroup, init_pid, policy | what is explained, of whom, and the policy that was in force |
| hosts_own | why the file is the host's own; left out if it isn't |
| notes | what no single field says |
| fields | one object for each: field, host, shown, kind, formula, from (what it is made from, in short), sources |
| → sources | from, path, field, value, missing (there is no such file or key), level (0 is the container's own cgroup), binds (this limit is what the field comes from) |
| hidden | fields of the host's file that the container isn't shown |

`

func document() string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("## Terms\n\n| term | meaning | inputs |\n|---|---|---|\n")
	for _, term := range formats.Terms() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", term.Name, escape(term.Formula), inputs(term.Inputs))
	}
	b.WriteString("\n")
	for _, f := range formats.Files() {
		fmt.Fprintf(&b, "## /%s\n\n", f.Path)
		if f.Lines != "" {
			fmt.Fprintf(&b, "Which lines: %s (%s).\n\n", f.Lines, inputs(f.LinesOf))
		}
		for i, c := range f.Hosts {
			if i == 0 {
				b.WriteString("The host's own: ")
			} else {
				b.WriteString("; ")
			}
			b.WriteString(c.Words)
		}
		if len(f.Hosts) > 0 {
			b.WriteString(".\n\n")
		}
		b.WriteString("| field | kind | formula | inputs |\n|---|---|---|---|\n")
		for _, r := range f.Rows {
			row(&b, r.Field, r.Kind, r.Formula, r.Inputs)
			for _, v := range r.With {
				row(&b, "→ with "+v.Policy, v.Kind, v.Formula, v.Inputs)
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func row(b *strings.Builder, field string, kind formats.Kind, formula string, in []formats.Input) {
	fmt.Fprintf(b, "| %s | %s | %s | %s |\n", escape(field), kind, escape(formula), inputs(in))
}

// escape keeps Markdown from taking * and | for its own.
func escape(s string) string {
	return strings.NewReplacer("*", `\*`, "|", `\|`).Replace(s)
}

func inputs(list []formats.Input) string {
	var all []string
	for _, in := range list {
		name := in.From.String()
		switch {
		case in.From == formats.OfTerm:
			name = in.Name
		case in.Name != "" && in.V1 != "":
			name += " `" + in.Name + "` (v1 `" + in.V1 + "`)"
		case in.Name != "":
			name += " `" + in.Name + "`"
		case in.V1 != "":
			name += " v1 `" + in.V1 + "`"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}
