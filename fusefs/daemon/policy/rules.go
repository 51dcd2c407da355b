// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Subject is a container as rules see it. What isn't known is "".
type Subject struct {
	Engine string `json:"engine,omitempty"` // one of Engines
	ID     string `json:"id,omitempty"`     // the engine's, in full
	Name   string `json:"name,omitempty"`   // the user's
}

// Engines are the names that a rule can match: those of runtime/discover.
func Engines() []string {
	return []string{"docker", "podman", "containerd", "cri-o", "lxc", "procfs-shim"}
}

// A Match says which containers are meant: those that fit every field that isn't
// "". One without any fits none.
type Match struct {
	// Name and ID are patterns (path.Match: * ? [a-z]) for the whole name or id. A
	// container that has no name is called by its id, as LXC does.
	Name, ID string
	Engine   string
}

// A Rule has choices for the containers that it matches.
type Rule struct {
	Match   Match
	Choices Choices
}

// Rules are what a server was told: they resolve the choices of its containers.
type Rules struct {
	Policy     Choices // the file's [policy]
	Containers []Rule  // the file's [[container]], in its order
	Flags      Choices // of the server's command line
}

// CheckPattern reports what is wrong with a pattern of a Match.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("must be a pattern: *, ? and [a-z] stand for characters, \\ before one of them for itself: %w", err)
	}
	return nil
}

// CheckEngine reports an engine that isn't known.
func CheckEngine(name string) error {
	if !slices.Contains(Engines(), name) {
		return fmt.Errorf("must be one of %s", strings.Join(Engines(), ", "))
	}
	return nil
}

// Fits says whether s is meant.
func (m Match) Fits(s Subject) bool {
	name := s.Name
	if name == "" {
		name = s.ID
	}
	return m != Match{} && (m.Engine == "" || m.Engine == s.Engine) && fits(m.Name, name) && fits(m.ID, s.ID)
}

func fits(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return pattern == "" || err == nil && ok && text != ""
}

// For returns the choices in force for a container that was given own by its
// own flags.
func (r Rules) For(s Subject, own Choices) Choices {
	c := r.Policy
	for _, rule := range r.Containers {
		if rule.Match.Fits(s) {
			c = rule.Choices.Over(c)
		}
	}
	return own.Over(r.Flags.Over(c))
}

// Default returns the choices in force where no container is known: in the
// shared tree.
func (r Rules) Default() Choices { return r.Flags.Over(r.Policy) }
