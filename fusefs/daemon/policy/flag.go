// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Flag is an option as a flag of the command line (pflag.Value): what isn't given
// isn't chosen.
type Flag struct {
	Option  Option
	Choices *Choices // where what is given goes
}

// String returns what was chosen.
func (f Flag) String() string {
	if f.Choices == nil {
		return ""
	}
	return (*f.Choices)[f.Option.Name]
}

// Set chooses.
func (f Flag) Set(value string) error {
	if err := f.Option.Check(value); err != nil { // shorter than With's: the flag's name is said before it
		return err
	}
	var err error
	*f.Choices, err = f.Choices.With(f.Option.Name, value)
	return err
}

// Type is what help shows after the flag.
func (f Flag) Type() string {
	switch {
	case f.Option.IsBool():
		return "bool"
	case f.Option.Values == nil:
		return "LIST"
	}
	return strings.Join(f.Option.Values, "|")
}

// InWords is a policy for people.
func InWords(p view.Policy) string {
	if differs := Differences(p, view.Policy{}).String(); differs != "" {
		return differs
	}
	return "as built in"
}
