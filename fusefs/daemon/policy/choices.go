// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// Choices are values by the names of options; an option that isn't there was
// not chosen. Values that didn't come through With have to pass Check. As JSON it
// is an object: {"cpu-view":"cpuset","files":"default,-stat"}.
type Choices map[string]string

// With returns the choices with one more. The error names the option, the value
// and what is allowed; then it returns c.
func (c Choices) With(name, value string) (Choices, error) {
	if err := check(name, value); err != nil {
		return c, err
	}
	return Choices{name: value}.Over(c), nil
}

// Check reports the first option, by name, that doesn't exist or can't have its
// value.
func (c Choices) Check() error {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if err := check(name, c[name]); err != nil {
			return err
		}
	}
	return nil
}

func check(name, value string) error {
	o, ok := Find(name)
	if !ok {
		return fmt.Errorf("policy %.40q: unknown%s", name, didYouMean(name, names()))
	}
	if err := o.Check(value); err != nil {
		return fmt.Errorf("policy %s: %.80q: %w", name, value, err)
	}
	return nil
}

func names() []string {
	var all []string
	for _, o := range options {
		all = append(all, o.Name)
	}
	return all
}

// Over returns base with these choices laid over it: what both chose is as c has
// it. Neither is changed.
func (c Choices) Over(base Choices) Choices {
	all := maps.Clone(base)
	if all == nil {
		all = Choices{}
	}
	maps.Copy(all, c)
	return all
}

// Apply returns base with what was chosen. A value that would not pass Check
// chooses nothing.
func (c Choices) Apply(base view.Policy) view.Policy {
	for _, o := range options {
		if value, chosen := c[o.Name]; chosen && o.Check(value) == nil {
			if err := o.set(&base, value); err != nil {
				continue // not one of its values after all; a test holds that there is none
			}
		}
	}
	return base
}

// Policy is Apply to the built-in default.
func (c Choices) Policy() view.Policy { return c.Apply(view.Policy{}) }

// Files returns the files to bind: those chosen, else those bound by default.
// The error is Select's.
func (c Choices) Files() ([]string, error) {
	list, chosen := c[FilesOption]
	if !chosen {
		list = "default"
	}
	return Select(list)
}

// String is the choices for people, in the table's order: "cpu-view=cpuset
// host-counters=true"; "" when nothing was chosen.
func (c Choices) String() string {
	var all []string
	for _, o := range options {
		if value, chosen := c[o.Name]; chosen {
			all = append(all, o.Name+"="+value)
		}
	}
	return strings.Join(all, " ")
}

// Differences are the options of p that aren't as they are in base, as choices:
// laid over base they give p.
func Differences(p, base view.Policy) Choices {
	var c Choices
	for _, o := range options {
		if value := o.get(p); value != o.get(base) {
			if c == nil {
				c = Choices{}
			}
			c[o.Name] = value
		}
	}
	return c
}
