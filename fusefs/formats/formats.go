// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"fmt"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Kind says what sort of number a field has.
type Kind uint8

// The kinds.
const (
	Host     Kind = iota // the host's, unchanged
	Cgroup               // one that the kernel keeps for the cgroup, in other units, or cut down to its whole
	Computed             // made from several numbers
	Constant             // always the same
	Invented             // a name or number that nothing of the kernel's stands behind
)

func kinds() []string { return []string{"host", "cgroup", "computed", "constant", "invented"} }

// String returns the kind's name.
func (k Kind) String() string {
	if int(k) < len(kinds()) {
		return kinds()[k]
	}
	return fmt.Sprintf("%d", uint8(k))
}

// MarshalText returns the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// From says where an input is found.
type From uint8

// Where inputs are found.
const (
	OfHost    From = iota // a file of the host
	OfCgroup              // a file of the container's own cgroup
	OfChain               // that file of the container's cgroup and of each ancestor below the root
	OfNearest             // that file of the nearest of these that has one, the root included
	OfShown               // another field that is shown
	OfTerm                // one of Terms, by its name
	OfInit                // the container's init process
	OfTasks               // the container's tasks
	OfClock               // the boot clock
)

func froms() []string {
	return []string{"host", "own", "chain", "nearest", "shown", "term", "init", "tasks", "clock"}
}

// String returns the word for it.
func (f From) String() string {
	if int(f) < len(froms()) {
		return froms()[f]
	}
	return fmt.Sprintf("%d", uint8(f))
}

// An Input is one number, or one kind of numbers, that a field is made from.
type Input struct {
	From From
	// Name is "FILE FIELD" as in "proc/meminfo MemTotal" or "memory.stat anon", or
	// "FILE" alone for one of a single value. Of a cgroup it is v2's name; "" where
	// v2 has none. Both can be patterns.
	Name string
	// V1 is v1's name of a cgroup's input, "" where there is none.
	V1 string
}

// A Term is a number that several fields are made from and that no file shows.
type Term struct {
	Name, Formula string
	Inputs        []Input
}

// A Row says of a field, or of all those whose name fits a pattern, where the value
// comes from.
type Row struct {
	Field   string // a name or a pattern
	Kind    Kind
	Formula string // one line
	Inputs  []Input
	// With are other ways, by policy. The first that is in force counts.
	With []Variant
}

// A Variant is what a policy makes of a row.
type Variant struct {
	Policy  string // as on the command line: "swap=none"
	In      func(view.Policy) bool
	Kind    Kind
	Formula string
	Inputs  []Input
}

// Under returns the row with a policy in force.
func (r Row) Under(p view.Policy) Row {
	for _, v := range r.With {
		if v.In(p) {
			return Row{Field: r.Field, Kind: v.Kind, Formula: v.Formula, Inputs: v.Inputs}
		}
	}
	r.With = nil
	return r
}

// A File is a served file, or a kind of them.
type File struct {
	Path string // a path or a pattern
	// Lines says which of the host's lines there are, where that isn't all of them,
	// and LinesOf what decides it.
	Lines   string
	LinesOf []Input
	// Hosts are the cases in which the file is the host's own.
	Hosts []Case
	Rows  []Row
}

// A Case is a situation in which a file is the host's own.
type Case struct {
	Words string // "with cpu-view=host"
	Is    func(Situation) bool
}

// A Situation is what decides whether a file is the host's own.
type Situation struct {
	Policy view.Policy
	// Root says that the container is the root cgroup, whose files are the host's.
	Root bool
	// TimeNamespace says that the container's boot clock isn't the host's.
	TimeNamespace bool
	// Init says that its init process is known, HostPID that this is in the host's
	// PID namespace.
	Init, HostPID bool
}

// HostsIn says whether the file is the host's own, and why.
func (f *File) HostsIn(s Situation) (why string, hosts bool) {
	for _, c := range f.Hosts {
		if c.Is(s) {
			return c.Words, true
		}
	}
	return "", false
}

// Row returns the row of a field.
func (f *File) Row(field string) (Row, bool) {
	for _, r := range f.Rows {
		if match(r.Field, field) {
			return r, true
		}
	}
	return Row{}, false
}

// Lookup returns what is known of a served file, by its path or its pattern; ok is
// false for one that isn't served.
func Lookup(path string) (f File, ok bool) {
	for _, f := range Files() {
		if f.Path == path || match(f.Path, path) {
			return f, true
		}
	}
	return File{}, false
}

// Trace returns all inputs of a field of file that aren't fields themselves: its
// own, and those of the fields that it is made from, under a policy. Fields of a
// file that is the host's own then are inputs of the host.
func Trace(file *File, field string, s Situation) []Input {
	t := tracer{situation: s, seen: map[string]bool{}}
	t.field(file, field)
	return t.found
}

// TraceLines is [Trace] for what decides which lines there are.
func TraceLines(file *File, s Situation) []Input {
	t := tracer{situation: s, seen: map[string]bool{}}
	t.inputs(file.LinesOf)
	return t.found
}

type tracer struct {
	situation Situation
	seen      map[string]bool
	found     []Input
}

func (t *tracer) field(file *File, name string) {
	key := file.Path + " " + name
	if t.seen[key] {
		return
	}
	t.seen[key] = true
	if _, hosts := file.HostsIn(t.situation); hosts {
		t.found = append(t.found, Input{From: OfHost, Name: key})
		return
	}
	// A pattern stands for all rows that it can mean.
	for i := range file.Rows {
		if r := &file.Rows[i]; match(r.Field, name) || match(name, r.Field) {
			under := r.Under(t.situation.Policy)
			if under.Kind == Host && len(under.Inputs) == 0 {
				t.found = append(t.found, Input{From: OfHost, Name: key})
			}
			t.inputs(under.Inputs)
			if match(r.Field, name) {
				return
			}
		}
	}
}

func (t *tracer) inputs(inputs []Input) {
	for _, in := range inputs {
		switch in.From {
		case OfShown:
			path, field := in.FileField()
			if file, ok := Lookup(path); ok {
				t.inputs(file.LinesOf)
				t.field(&file, field)
			}
		case OfTerm:
			t.term(in.Name)
		default:
			t.found = append(t.found, in)
		}
	}
}

func (t *tracer) term(name string) {
	for _, term := range Terms() {
		if term.Name == name && !t.seen[name] {
			t.seen[name] = true
			t.inputs(term.Inputs)
		}
	}
}
