// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"fmt"
	"strings"
)

// Circumstances are what the numbers hold for.
type Circumstances struct {
	Date, System, Kernel, CPUs, Docker, LXCFS, Ours string
	Container                                       []string // the commands
}

const opening = `# Comparison with LXCFS

One docker container under both: our files over its /proc, LXCFS's in a directory
beside it, read by one process in the same moment. The truth is worked out by the
test, from the cgroup's files and the kernel's, with code of its own; what moves is
read before and after, and what lies between is true, give or take what the last
column says (memory: 1 MiB). Fields that are right in both stand below the tables.
The container has the most CPU shares there are, so that its loop runs however busy
the machine is. This page is made by

` + "```\nmake comparison\n```" + `

as root, on a host with cgroup v1 controllers and Debian's LXCFS and docker.
The test behind it (` + "`test/comparison`" + `) fails where ours is wrong and this page
doesn't say so. Memory is in kB.
`

// onV2 is what is known of LXCFS on cgroup v2, where none of this was measured.
const onV2 = `## Not measured: LXCFS on cgroup v2

LXCFS 7.0 takes cgroup v2 alone, and none was run for this page. This is what its
issues and the source of v7.0.0 say about v2:

| file | LXCFS on v2 | where it says so |
|---|---|---|
| stat | the host's: it needs cpuacct.usage_all or usage_percpu, which v2 doesn't have | [#593](https://github.com/lxc/lxcfs/issues/593), [#687](https://github.com/lxc/lxcfs/pull/687), src/proc_cpuview.c |
| stat: processes, procs_running, procs_blocked | the host's | [#654](https://github.com/lxc/lxcfs/issues/654) |
| uptime | the container's; idle is all of up, for busy is asked of cpuacct.usage | src/proc_fuse.c |
| diskstats | the host's: it needs the controller blkio, which v2 calls io | [#653](https://github.com/lxc/lxcfs/issues/653), src/proc_fuse.c |
| pressure/io | the host's, likewise | src/proc_fuse.c |
| pressure/cpu, pressure/memory | the container's, and with a flag they can be polled, which ours can't | [#665](https://github.com/lxc/lxcfs/pull/665), [#691](https://github.com/lxc/lxcfs/pull/691) |
| all, on cgroup v1 | no longer served | [#697](https://github.com/lxc/lxcfs/issues/697) |
`

// Document is docs/COMPARISON.md.
func Document(c Circumstances, tables []Table) string {
	var b strings.Builder
	b.WriteString(opening)
	fmt.Fprintf(&b, "\n| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"date", c.Date},
		{"system", c.System},
		{"kernel", c.Kernel},
		{"CPUs", c.CPUs},
		{"docker", c.Docker},
		{"LXCFS", c.LXCFS},
		{"procfs-shim", c.Ours},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	fmt.Fprintf(&b, "\nThe container, and what runs in it:\n\n```\n%s\n```\n", strings.Join(c.Container, "\n"))
	b.WriteString("\n## All files\n\nFields by who is right. *Nobody knows*: the kernel doesn't count it for a cgroup.\n\n")
	b.WriteString("| file | agree | procfs-shim | LXCFS | both | neither | nobody knows |\n|---|---|---|---|---|---|---|\n")
	for _, t := range tables {
		fmt.Fprintf(&b, "| %s |", t.File)
		for _, v := range []Verdict{Agree, Ours, Theirs, Both, Neither, Unknown} {
			fmt.Fprintf(&b, " %d |", t.Count(v))
		}
		b.WriteString("\n")
	}
	for _, t := range tables {
		t.write(&b)
	}
	b.WriteString("\n" + onV2)
	return b.String()
}

func (t Table) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## /%s\n", t.File)
	if t.Note != "" {
		fmt.Fprintf(b, "\n%s\n", t.Note)
	}
	var agreed []string
	for _, r := range t.Rows {
		if r.Verdict == Agree {
			agreed = append(agreed, cell(r.Field))
		}
	}
	if len(agreed) < len(t.Rows) {
		b.WriteString("\n| field | procfs-shim | LXCFS | truth | right | why |\n|---|---|---|---|---|---|\n")
	}
	for _, r := range t.Rows {
		if r.Verdict == Agree {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", cell(r.Field), value(r.Ours), value(r.Theirs), value(r.Truth), r.Verdict, cell(r.Why))
	}
	if agreed != nil {
		fmt.Fprintf(b, "\nRight in both: %s.\n", strings.Join(agreed, "; "))
	}
}

// cell keeps a text in its cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// value is a cell of one of the values; a list of all labels is cut short.
func value(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + " …"
	}
	return cell(text)
}
