// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// Names of tables.
const (
	policyTable    = "policy"
	containerTable = "container"
)

var (
	errOnePolicy      = errors.New("there is one: write [policy]")
	errManyContainers = errors.New("there may be many: write [[container]] above the keys of each")
	errNoMatch        = errors.New("doesn't say which are meant: give name, id or engine")
)

// A setting is a key whose value is text.
type setting struct {
	name  string
	check func(string) error
	at    *string // where the value goes
}

// settings are the keys outside of tables.
func settings(f *File) []setting {
	return []setting{
		{"mountpoint", absolute, &f.Mountpoint},
		{"state-dir", absolute, &f.StateDir},
		{"log-level", func(v string) error { return oneOf(v, Levels()) }, &f.LogLevel},
		{"log-format", func(v string) error { return oneOf(v, Formats()) }, &f.LogFormat},
	}
}

// matchSettings are the keys of a [[container]] table that say who is meant.
func matchSettings(m *policy.Match) []setting {
	return []setting{
		{"name", policy.CheckPattern, &m.Name},
		{"id", policy.CheckPattern, &m.ID},
		{"engine", policy.CheckEngine, &m.Engine},
	}
}

// reader is one file that is being read.
type reader struct {
	path     string
	parser   unstable.Parser
	file     File
	problems []*Error

	table    []string // the header above; none outside of tables
	skip     bool     // the header was wrong: what stands below it isn't looked at
	ruleLine int      // of the [[container]] above, 0 outside of them
}

// Parse reads the text of a file; path is for messages. The error joins one
// *Error for each thing that is wrong, in the order of lines; where the text is
// no TOML it is the first one alone.
func Parse(path string, text []byte) (File, error) {
	r := &reader{path: path}
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		return File{}, r.noTOML(err)
	}
	r.parser.Reset(text)
	for r.parser.NextExpression() {
		r.expression(r.parser.Expression())
	}
	r.endRule()
	if err := r.parser.Error(); err != nil { // Unmarshal would have said so
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.problems) == 0 {
		return r.file, nil
	}
	slices.SortStableFunc(r.problems, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	var all []error
	for _, p := range r.problems {
		all = append(all, p)
	}
	return File{}, errors.Join(all...)
}

func (r *reader) noTOML(err error) error {
	var located *toml.DecodeError
	if !errors.As(err, &located) {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	line, column := located.Position()
	cause := strings.TrimPrefix(located.Error(), "toml: ")
	return &Error{Path: r.path, Line: line, Err: fmt.Errorf("column %d: not TOML: %s", column, cause)}
}

func (r *reader) expression(e *unstable.Node) {
	path, line := r.key(e)
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		r.endRule()
		err := r.header(path, line, e.Kind == unstable.ArrayTable)
		if r.table, r.skip = path, err != nil; r.skip {
			r.wrong(path, line, err)
		}
	case unstable.KeyValue:
		if !r.skip {
			r.keyValue(slices.Concat(r.table, path), line, e.Value())
		}
	default: // comments aren't kept
	}
}

// key gives the parts of an expression's dotted key, and its line.
func (r *reader) key(e *unstable.Node) (path []string, line int) {
	for it := e.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		line = r.parser.Shape(it.Node().Raw).Start.Line
	}
	return path, line
}

// header begins the table [path] or, if many, [[path]].
func (r *reader) header(path []string, line int, many bool) error {
	known := []string{policyTable, containerTable}
	switch {
	case len(path) > 1 || !slices.Contains(known, path[0]):
		return unknown("table", path[len(path)-1], known)
	case path[0] == policyTable && many:
		return errOnePolicy
	case path[0] == containerTable && !many:
		return errManyContainers
	case many:
		r.file.Containers = append(r.file.Containers, policy.Rule{})
		r.ruleLine = line
	}
	return nil
}

// endRule looks at a [[container]] table as a whole.
func (r *reader) endRule() {
	if r.ruleLine > 0 && r.rule().Match == (policy.Match{}) {
		r.wrong([]string{containerTable}, r.ruleLine, errNoMatch)
	}
	r.ruleLine = 0
}

// rule is the [[container]] table that is being read.
func (r *reader) rule() *policy.Rule { return &r.file.Containers[len(r.file.Containers)-1] }

// keyValue takes a value; path is its key's, the table's included.
func (r *reader) keyValue(path []string, line int, v *unstable.Node) {
	if len(path) == 1 && path[0] == policyTable && v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				below, line := r.key(it.Node())
				r.keyValue(slices.Concat(path, below), line, it.Node().Value())
			}
		}
		return
	}
	if err := r.assign(path, v); err != nil {
		r.wrong(path, line, err)
	}
}

// assign puts a value to its place.
func (r *reader) assign(path []string, v *unstable.Node) error {
	name := path[len(path)-1]
	switch {
	case path[0] == containerTable && r.ruleLine == 0:
		return errManyContainers
	case len(path) == 1 && name == policyTable:
		return errors.New("must be a table")
	case len(path) == 1:
		return assignIn(settings(&r.file), nil, name, v)
	case len(path) == 2 && path[0] == policyTable:
		return assignIn(nil, &r.file.Policy, name, v)
	case len(path) == 2 && path[0] == containerTable:
		return assignIn(matchSettings(&r.rule().Match), &r.rule().Choices, name, v)
	}
	return errors.New("unknown key")
}

// assignIn puts a value to its place in a table that has these settings and, if
// choices isn't nil, all options.
func assignIn(settings []setting, choices *policy.Choices, name string, v *unstable.Node) error {
	var known []string
	for _, s := range settings {
		if known = append(known, s.name); s.name == name {
			text, err := textOf(v)
			if err != nil {
				return err
			}
			*s.at = text
			return valueError(text, s.check(text))
		}
	}
	if choices == nil {
		return unknown("key", name, append(known, policyTable, containerTable))
	}
	for _, o := range policy.Options() {
		if known = append(known, o.Name); o.Name == name {
			text, err := optionText(o, v)
			if err != nil {
				return err
			}
			if err := valueError(text, o.Check(text)); err != nil {
				return err
			}
			*choices, err = choices.With(name, text)
			return err
		}
	}
	return unknown("key", name, known)
}

// optionText gives an option's value as it would stand after its flag.
func optionText(o policy.Option, v *unstable.Node) (string, error) {
	switch {
	case o.IsBool() && v.Kind == unstable.Bool:
		return string(v.Data), nil
	case o.IsBool():
		return "", fmt.Errorf("must be true or false, not %s", kind(v))
	case o.Name == policy.FilesOption && v.Kind == unstable.Array:
		var names []string
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.String {
				return "", fmt.Errorf("must be an array of strings, not with %s", kind(it.Node()))
			}
			names = append(names, string(it.Node().Data))
		}
		if len(names) == 0 {
			return "none", nil
		}
		return strings.Join(names, ","), nil
	case v.Kind != unstable.String && o.Values != nil:
		return "", fmt.Errorf("must be a string, one of %s, not %s", strings.Join(o.Values, ", "), kind(v))
	}
	return textOf(v)
}

func textOf(v *unstable.Node) (string, error) {
	if v.Kind != unstable.String {
		return "", fmt.Errorf("must be a string, not %s", kind(v))
	}
	return string(v.Data), nil
}

// kind names the type of a value.
func kind(v *unstable.Node) string {
	switch v.Kind {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return string(v.Data)
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array:
		return "an array"
	case unstable.InlineTable:
		return "a table"
	default:
		return "a time"
	}
}

// valueError puts the value before what is wrong with it.
func valueError(value string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%.80q: %w", value, err)
}

func unknown(what, name string, known []string) error {
	if near := policy.Nearest(name, known); near != "" {
		return fmt.Errorf("unknown %s; is it %s?", what, near)
	}
	return fmt.Errorf("unknown %s; there are %s", what, strings.Join(known, ", "))
}

// wrong takes note of a problem.
func (r *reader) wrong(path []string, line int, err error) {
	r.problems = append(r.problems, &Error{Path: r.path, Line: line, Key: dotted(path), Err: err})
}

// dotted writes a key as a file would: what isn't a bare key is quoted.
func dotted(path []string) string {
	var parts []string
	for _, p := range path {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			p = fmt.Sprintf("%.80q", p)
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ".")
}
