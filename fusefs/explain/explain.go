// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// An Explanation says where the fields of a text came from.
type Explanation struct {
	Snapshot uint64    `json:"snapshot"`
	Held     bool      `json:"held"` // by an open file
	Time     time.Time `json:"time"` // when the text was made
	File     string    `json:"file"` // "/proc/meminfo"

	// Who the container is: the caller's to fill in.
	Container string      `json:"container"`
	Cgroup    string      `json:"cgroup"`
	InitPID   int         `json:"init_pid"`
	Policy    view.Policy `json:"policy"`

	// HostsOwn says why the file is the host's own, "" if it isn't.
	HostsOwn string   `json:"hosts_own,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Fields   []Field  `json:"fields"`
	// Hidden are the fields of the host's file that the container isn't shown.
	Hidden []string `json:"hidden,omitempty"`
}

// A Field is one value of the text.
type Field struct {
	Name    string       `json:"field"`
	Host    string       `json:"host"` // the same field of the host's file, "" without one
	Shown   string       `json:"shown"`
	Kind    formats.Kind `json:"kind"`
	Formula string       `json:"formula"`
	From    string       `json:"from"` // what it is made from, in short
	Sources []Source     `json:"sources,omitempty"`
}

// A Source is one value that a field is made from.
type Source struct {
	// From is as in the table: host, own, chain, nearest, shown, init, tasks, clock.
	From string `json:"from"`
	// Path is the file's, "" where it isn't one; Field names the value in it.
	Path  string `json:"path,omitempty"`
	Field string `json:"field,omitempty"`
	Value string `json:"value"`
	// Missing says that there is no such file, or no such value in it: no limit, or
	// a usage of 0.
	Missing bool `json:"missing,omitempty"`
	Level   int  `json:"level,omitempty"` // of the chain, 0 for the container's own
	Binds   bool `json:"binds,omitempty"`

	in    formats.Input
	owner owner
}

// An owner is the field whose formula a source belongs to: the explained one, or
// one of another file that this is made from.
type owner struct{ file, field string }

// Of explains a text. hostText is the host's own of the same file, as of the same
// moment or a later one; nil if there is none.
func Of(m *Material, hostText []byte, roots Roots) *Explanation {
	x := explainer{material: m, reads: m.reads(roots)}
	x.file, _ = formats.Lookup(m.File)
	x.situation = m.situation()
	why, hosts := x.file.HostsIn(x.situation)
	if !hosts { // else no cgroup was asked
		x.situation.Root = root(x.reads)
		why, _ = x.file.HostsIn(x.situation)
	}
	x.shown = formats.Split(m.File, string(m.Text))
	host := map[string]string{}
	e := &Explanation{
		Snapshot: m.Snapshot, Held: m.Held, Time: m.At, File: "/" + m.File, InitPID: m.Init.PID, Policy: m.Policy,
		HostsOwn: why, Fields: []Field{},
	}
	hostFields := formats.Split(m.File, string(hostText))
	if hostText == nil {
		hostFields = nil
	}
	for _, f := range hostFields {
		host[f.Name] = f.Value
	}
	if m.Instead {
		e.HostsOwn = "the container's numbers can't be had, and the policy is on-error=host"
	}
	for _, f := range x.shown {
		e.Fields = append(e.Fields, x.field(f, host, e.HostsOwn))
	}
	for _, f := range hostFields {
		if !slices.ContainsFunc(x.shown, func(s formats.Field) bool { return s.Name == f.Name }) {
			e.Hidden = append(e.Hidden, f.Name)
		}
	}
	e.Notes = x.notes(e)
	return e
}

// Find returns the field of that name. Where there is none, near are those that
// have the name in theirs.
func (e *Explanation) Find(name string) (f *Field, near []string) {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return &e.Fields[i], nil
		}
		if strings.Contains(strings.ToLower(e.Fields[i].Name), strings.ToLower(name)) {
			near = append(near, e.Fields[i].Name)
		}
	}
	return nil, near
}

// An explainer holds what is the same for all fields of a text.
type explainer struct {
	material  *Material
	situation formats.Situation
	file      formats.File
	reads     []read
	shown     []formats.Field
}

func (x *explainer) field(f formats.Field, host map[string]string, hostsOwn string) Field {
	explained := Field{Name: f.Name, Host: host[f.Name], Shown: f.Value}
	row, ok := x.file.Row(f.Name)
	switch {
	case hostsOwn != "" || !ok:
		explained.Kind, explained.Formula = formats.Host, "the host's"
		row = formats.Row{Kind: formats.Host}
	default:
		row = row.Under(x.situation.Policy)
		explained.Kind, explained.Formula = row.Kind, row.Formula
	}
	at := owner{x.material.File, f.Name}
	if row.Kind == formats.Host && len(row.Inputs) == 0 {
		row.Inputs = []formats.Input{{From: formats.OfHost, Name: at.file + " " + at.field}}
	}
	sources := x.sources(at, row.Inputs, nil)
	x.bind(sources)
	explained.Sources = unique(sources)
	explained.From = x.from(at, row, explained.Sources)
	return explained
}

// sources are the values that inputs stand for. Of another file's fields it is what
// these are made from.
func (x *explainer) sources(at owner, inputs []formats.Input, seen []string) (all []Source) {
	for _, in := range inputs {
		switch in.From {
		case formats.OfTerm:
			for _, term := range formats.Terms() {
				if term.Name == in.Name {
					all = append(all, x.sources(at, term.Inputs, seen)...)
				}
			}
		case formats.OfShown:
			all = append(all, x.fromShown(in, seen)...)
		case formats.OfInit, formats.OfTasks, formats.OfClock:
			all = append(all, x.fromElsewhere(in))
		default:
			all = append(all, x.fromFiles(at, in)...)
		}
	}
	return all
}

// fromShown is a field of this text, or what one of another file is made from.
func (x *explainer) fromShown(in formats.Input, seen []string) (all []Source) {
	at, field := in.FileField()
	if x.file.Path == at || x.material.File == at {
		file := x.material.File
		for _, f := range x.shown {
			if (formats.Input{From: formats.OfShown, Name: file + " " + field}).Is(file, f.Name) {
				all = append(all, Source{From: in.From.String(), Path: "/" + file, Field: f.Name, Value: f.Value, in: in})
			}
		}
		return all
	}
	if slices.Contains(seen, in.Name) {
		return nil
	}
	seen = append(seen, in.Name)
	file, ok := formats.Lookup(at)
	if !ok {
		return nil
	}
	if _, hosts := file.HostsIn(x.situation); hosts {
		return x.fromFiles(owner{at, field}, formats.Input{From: formats.OfHost, Name: in.Name})
	}
	row, ok := file.Row(field)
	if !ok {
		return nil
	}
	row = row.Under(x.situation.Policy)
	if row.Kind == formats.Host && len(row.Inputs) == 0 {
		row.Inputs = []formats.Input{{From: formats.OfHost, Name: in.Name}}
	}
	return x.sources(owner{at, field}, row.Inputs, seen)
}

// fromElsewhere is what no file says.
func (x *explainer) fromElsewhere(in formats.Input) Source {
	s := Source{From: in.From.String(), in: in}
	switch in.From {
	case formats.OfInit:
		s.Value, s.Missing = initWords(x.material.Init), x.material.Init.PID == 0
	case formats.OfTasks:
		s.Value = "sampled at most 5.5 s before"
	default:
		s.Value = x.material.At.UTC().Format(time.RFC3339Nano)
	}
	return s
}

// fromFiles are the values of files that were read. A value that no file has is a
// source, too: a missing one.
func (x *explainer) fromFiles(at owner, in formats.Input) (all []Source) {
	var missing []Source
	var has []string // directories in which it was found, by one name or the other
	for _, r := range x.reads {
		if r.host != (in.From == formats.OfHost) || in.From == formats.OfCgroup && r.level > 0 {
			continue
		}
		s := Source{From: in.From.String(), Path: r.Path, Level: r.level, in: in, owner: at}
		found := false
		for _, f := range r.matching(in) {
			if !x.ofDevice(at, r, f.Name) {
				continue
			}
			s.Field, s.Value = f.Name, f.Value
			all, found = append(all, s), true
			has = append(has, r.dir)
		}
		if name := in.NameIn(r.name); !found && name != "" && !strings.ContainsAny(name, "#*") {
			s.Field, s.Missing = name, true
			missing = append(missing, s)
		}
		if in.From == formats.OfNearest && found {
			break // what is above isn't asked
		}
	}
	if in.From == formats.OfHost {
		return all // a row that this kernel doesn't have
	}
	for _, s := range missing {
		if !slices.Contains(has, path.Dir(s.Path)) {
			all = append(all, s)
		}
	}
	return all
}

// ofDevice says whether a field of an input can be of the device whose line of
// proc/diskstats is explained: the kernel names it by its numbers there.
func (x *explainer) ofDevice(at owner, r read, field string) bool {
	id, _, ok := strings.Cut(field, " ")
	if at.file != "proc/diskstats" || r.host || !ok {
		return true
	}
	name, _, _ := strings.Cut(at.field, " ")
	numbers := map[string]string{}
	for _, f := range x.shown {
		numbers[f.Name] = f.Value
	}
	return id == numbers[name+" major"]+":"+numbers[name+" minor"]
}

// matching are the fields that an input means. v1's name counts first: its
// memory.stat has v2's names, too, for the cgroup without its descendants.
func (r read) matching(in formats.Input) (fields []formats.Field) {
	for _, name := range []string{in.V1, in.Name} {
		for _, f := range r.fields {
			if name != "" && (formats.Input{From: in.From, Name: name}).Is(r.name, f.Name) && f.Value != "" {
				fields = append(fields, f)
			}
		}
		if len(fields) > 0 {
			break
		}
	}
	return fields
}

// unique drops values that were found twice, for two formulas.
func unique(all []Source) (once []Source) {
	for _, s := range all {
		i := slices.IndexFunc(once, func(o Source) bool { return o.Path == s.Path && o.Field == s.Field && o.Value == s.Value })
		if i < 0 {
			once = append(once, s)
		} else {
			once[i].Binds = once[i].Binds || s.Binds
		}
	}
	return once
}
