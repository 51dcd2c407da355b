// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// FilesOption is the name of the option whose value is a list of files.
const FilesOption = "files"

// An Option is one thing that can be chosen.
type Option struct {
	// Name is the flag without its dashes, and the key of the configuration file.
	Name string
	// Values are what may be chosen, the default first; nil for a list of files.
	Values []string
	// Help says in a few words what the option is about.
	Help string

	// of gives the option's place in a policy; nil for the list of files.
	of func(*view.Policy) value
}

// value is a field of a policy, as text.
type value interface {
	encoding.TextUnmarshaler
	fmt.Stringer
}

// options is the table.
//
//nolint:gochecknoglobals // a constant table
var options = []Option{
	{
		"cpu-view",
		[]string{"quota", "cpuset", "host"},
		"CPUs that are shown: as many as the quota allows, all of the cpuset, or all of the host",
		func(p *view.Policy) value { return &p.CPUView },
	},
	{
		"cpu-numbering",
		[]string{"kernel", "contiguous"},
		"numbers of the shown CPUs: the kernel's, or 0, 1, 2, … as LXCFS has them",
		func(p *view.Policy) value { return &p.Numbering },
	},
	{
		"uptime",
		[]string{"container", "host"},
		"whose uptime is shown",
		func(p *view.Policy) value { return &p.Uptime },
	},
	{
		"loadavg",
		[]string{"container", "host"},
		"whose load averages are shown",
		func(p *view.Policy) value { return &p.Loadavg },
	},
	{
		"host-counters",
		[]string{"false", "true"},
		"show the host's interrupts, context switches and forks instead of 0",
		func(p *view.Policy) value { return (*boolean)(&p.HostCounters) },
	},
	{
		"memory-high",
		[]string{"false", "true"},
		"memory.high is a limit for MemTotal and MemFree too, not for MemAvailable alone",
		func(p *view.Policy) value { return (*boolean)(&p.MemoryHigh) },
	},
	{
		"swap",
		[]string{"limit", "none"},
		"swap that is shown: what the limits leave, or none",
		func(p *view.Policy) value { return &p.Swap },
	},
	{
		"on-error",
		[]string{"eio", "host"},
		"when the container's numbers can't be had: reads fail, or show the host's",
		func(p *view.Policy) value { return &p.OnError },
	},
	{
		FilesOption,
		nil,
		"files that are bound: names as for --file, all, default or none, and -NAME to leave one out, with commas between",
		nil,
	},
}

// Options returns the table of options. The slice is the caller's.
func Options() []Option { return slices.Clone(options) }

// Find returns the option of that name.
func Find(name string) (Option, bool) {
	i := slices.IndexFunc(options, func(o Option) bool { return o.Name == name })
	if i < 0 {
		return Option{}, false
	}
	return options[i], true
}

// IsBool says whether the option is one that is on or off.
func (o Option) IsBool() bool { return slices.Equal(o.Values, []string{"false", "true"}) }

// Check says what is wrong with a value, in words that come after the option's
// name and the value; nil if nothing is.
func (o Option) Check(value string) error {
	if o.of == nil {
		_, err := Select(value)
		return err
	}
	if !slices.Contains(o.Values, value) {
		return fmt.Errorf("must be one of %s", strings.Join(o.Values, ", "))
	}
	return nil
}

// set writes a value into p. It has passed Check.
func (o Option) set(p *view.Policy, value string) error {
	if o.of == nil {
		return nil
	}
	return o.of(p).UnmarshalText([]byte(value))
}

// get reads the option's value in p, "" for the list of files.
func (o Option) get(p view.Policy) string {
	if o.of == nil {
		return ""
	}
	return o.of(&p).String()
}

// boolean is a field that is true or false.
type boolean bool

func (b boolean) String() string { return strconv.FormatBool(bool(b)) }

func (b *boolean) UnmarshalText(text []byte) error {
	switch string(text) {
	case "true":
		*b = true
	case "false":
		*b = false
	default:
		return errors.New("neither true nor false")
	}
	return nil
}
