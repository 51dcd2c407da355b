// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
)

// widest is how much of a value a table shows.
const widest = 40

// WriteJSON writes the explanation as one indented object.
func (e *Explanation) WriteJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	return nil
}

// Write writes the explanation: of one field, or of all where that is "". policy is
// the one in force, in words. The error says which fields there are, if field isn't
// one.
func (e *Explanation) Write(out io.Writer, field, policy string, asJSON bool) error {
	if field != "" {
		f, near := e.Find(field)
		if f == nil {
			return e.noField(field, near)
		}
		if !asJSON {
			return e.WriteField(out, policy, f)
		}
		one := *e
		one.Fields, one.Hidden = []Field{*f}, nil
		return one.WriteJSON(out)
	}
	if asJSON {
		return e.WriteJSON(out)
	}
	return e.WriteTable(out, policy)
}

// noField says why a field can't be explained.
func (e *Explanation) noField(field string, near []string) error {
	switch {
	case slices.Contains(e.Hidden, field):
		return fmt.Errorf("%s: %q is in the host's file, and the container isn't shown it", e.File, field)
	case len(near) > 0:
		return fmt.Errorf("%s: no field is called %q; these are near: %s", e.File, field, some(near))
	case len(e.Fields) == 0:
		return fmt.Errorf("%s: no field is called %q: the container is shown an empty file", e.File, field)
	}
	var all []string
	for _, f := range e.Fields {
		all = append(all, f.Name)
	}
	return fmt.Errorf("%s: no field is called %q; there are: %s", e.File, field, some(all))
}

// WriteTable writes a line for each field: the host's value, the one shown, its kind
// and what it is made from. policy is the one in force, in words.
func (e *Explanation) WriteTable(out io.Writer, policy string) error {
	var text strings.Builder
	e.head(&text, policy)
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	_, _ = io.WriteString(w, "FIELD\tHOST\tSHOWN\tKIND\tFROM\n") // to memory
	for _, f := range e.Fields {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Name, cut(f.Host), cut(f.Shown), f.Kind, f.From)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	if len(e.Hidden) > 0 {
		fmt.Fprintf(&text, "not shown: %d fields of the host's file: %s\n", len(e.Hidden), some(e.Hidden))
	}
	return e.finish(out, &text)
}

// WriteField writes all that is known of one field.
func (e *Explanation) WriteField(out io.Writer, policy string, f *Field) error {
	var text strings.Builder
	e.head(&text, policy)
	fmt.Fprintf(&text, "%s of %s\n", f.Name, e.File)
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "  kind\t%s\n  host\t%s\n  shown\t%s\n  formula\t%s\n", f.Kind, orNone(f.Host), orNone(f.Shown), f.Formula)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	if len(f.Sources) > 0 {
		text.WriteString("made from\n")
		w = tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
		for _, s := range bySource(f.Sources) {
			_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.place(), s.name(), s.value(), s.mark())
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("explain: %w", err)
		}
	}
	return e.finish(out, &text)
}

// head says what is explained.
func (e *Explanation) head(text *strings.Builder, policy string) {
	held := "made now"
	if e.Held {
		held = "held for readers"
	}
	fmt.Fprintf(text, "%s in %s (init %d, cgroup %s)\n", e.File, e.Container, e.InitPID, e.Cgroup)
	fmt.Fprintf(text, "snapshot %d of %s, %s\n", e.Snapshot, e.Time.UTC().Format(time.RFC3339Nano), held)
	fmt.Fprintf(text, "policy: %s\n", policy)
	if e.HostsOwn != "" {
		fmt.Fprintf(text, "the host's own file: %s\n", e.HostsOwn)
	}
	text.WriteString("\n")
}

// finish adds the notes and writes everything.
func (e *Explanation) finish(out io.Writer, text *strings.Builder) error {
	for _, n := range e.Notes {
		fmt.Fprintf(text, "note: %s\n", n)
	}
	var trimmed strings.Builder
	for line := range strings.Lines(text.String()) { // tabwriter pads the last column, too
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if _, err := io.WriteString(out, trimmed.String()); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	return nil
}

// from is what a field is made from, in short, and what binds.
func (x *explainer) from(at owner, row formats.Row, sources []Source) string {
	if row.Kind == formats.Host && at.file == x.material.File && len(row.Inputs) == 1 && row.Inputs[0].From == formats.OfHost {
		return "host"
	}
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, in := range row.Inputs {
		switch in.From {
		case formats.OfTerm:
			add(in.Name)
		case formats.OfShown:
			file, field := in.FileField()
			if file == x.file.Path || field == path.Base(file) {
				add(field)
			} else {
				add(path.Base(file) + " " + field)
			}
		case formats.OfInit, formats.OfTasks, formats.OfClock:
			add(in.From.String())
		default:
			if name := nameOf(in, sources); name != "" {
				add(name)
			}
		}
	}
	if len(names) == 0 {
		return "-"
	}
	switch { // files of which most fields have a limit somewhere behind them
	case strings.HasSuffix(at.field, " steal"):
	case at.file == "proc/stat", at.file == "proc/uptime", strings.HasPrefix(at.file, "sys/devices/system/node/"):
		return some(names)
	}
	return some(names) + bindsWords(sources)
}

// nameOf is what the input is called where it was found, "" if it wasn't.
func nameOf(in formats.Input, sources []Source) string {
	i := slices.IndexFunc(sources, func(s Source) bool { return s.in == in && !s.Missing })
	if i < 0 {
		return ""
	}
	base, field := path.Base(sources[i].Path), sources[i].Field
	if slices.ContainsFunc(sources, func(s Source) bool { return s.in == in && !s.Missing && s.Field != field }) {
		if field = in.NameIn(base); in.From == formats.OfHost {
			_, field = in.FileField()
		}
	}
	if strings.HasPrefix(field, "hugetlb.*") {
		base = field // there is a file for each size
	}
	name := base
	if field != base {
		name += " " + field
	}
	if in.From == formats.OfHost {
		return "host " + name
	}
	return name
}

func bindsWords(sources []Source) string {
	for _, s := range sources {
		switch {
		case !s.Binds:
		case s.From == formats.OfHost.String():
			return "; the host binds"
		case s.From == formats.OfNearest.String():
			return "; the cpuset binds"
		default:
			return fmt.Sprintf("; level %d binds", s.Level)
		}
	}
	return ""
}

// some is a list that isn't too long.
func some(names []string) string {
	const few = 4
	if len(names) > few+1 {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}

// bySource puts the values of one level together, the container's own first, and
// what isn't of a cgroup last.
func bySource(sources []Source) []Source {
	sorted := slices.Clone(sources)
	rank := func(s Source) int {
		switch s.From {
		case formats.OfCgroup.String(), formats.OfChain.String(), formats.OfNearest.String():
			return s.Level
		case formats.OfHost.String():
			return 1 << 20
		}
		return 1 << 21
	}
	slices.SortStableFunc(sorted, func(a, b Source) int { return rank(a) - rank(b) })
	return sorted
}

func (s Source) place() string {
	switch s.From {
	case formats.OfCgroup.String(), formats.OfChain.String(), formats.OfNearest.String():
		return fmt.Sprintf("level %d", s.Level)
	}
	return s.From
}

func (s Source) name() string {
	if s.Path == "" {
		return "-"
	}
	if path.Base(s.Path) == s.Field {
		return s.Path
	}
	return s.Path + " " + s.Field
}

func (s Source) value() string {
	if s.Missing {
		return "not there"
	}
	return cut(s.Value)
}

func (s Source) mark() string {
	if s.Binds {
		return "← binds"
	}
	return ""
}

func initWords(i Init) string {
	if i.PID == 0 {
		return "not known"
	}
	words := fmt.Sprintf("process %d, began %v after boot", i.PID, i.Start)
	if i.Offset != 0 {
		words += fmt.Sprintf(", boottime offset %v", i.Offset)
	}
	return words
}

// cut keeps a long value from taking the table apart.
func cut(value string) string {
	value = strings.Join(strings.Fields(value), " ")
	if value == "" {
		return "-"
	}
	if runes := []rune(value); len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return value
}

func orNone(value string) string {
	if value == "" {
		return "-"
	}
	return value
}
