// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// inForceLocked needs mu. It gives what the rules and the container's own choices
// come to.
func (g *registry) inForceLocked(e *entry) policy.Choices {
	return g.rules.For(e.chosen.container, e.chosen.choices)
}

// files are those that choices bind and the tree has.
func (g *registry) files(c policy.Choices) []string {
	files := []string{} // never null as JSON
	all, err := c.Files()
	if err != nil { // it was checked where it came from
		g.log.Error("files to bind", "error", err)
	}
	for _, f := range all {
		if g.has(f) {
			files = append(files, f)
		}
	}
	return files
}

// answer is what a client is told of its container.
func (g *registry) answer(e *entry) Registered {
	g.mu.Lock()
	c := g.inForceLocked(e)
	g.mu.Unlock()
	return Registered{Dir: e.dir, Static: e.static, Files: g.files(c), Policy: c.Policy(), Shared: g.shared}
}

// resolve is what register would answer to r, less the directories.
func (g *registry) resolve(r Registration) Registered {
	g.mu.Lock()
	c, own := r.Container, r.Choices
	if e := g.entries[r.ID]; e != nil && sameContainer(e.reg, r) {
		own = own.Over(e.chosen.choices)
		if c == (policy.Subject{}) {
			c = e.chosen.container
		}
	}
	inForce := g.rules.For(c, own)
	g.mu.Unlock()
	return Registered{Files: g.files(inForce), Policy: inForce.Policy(), Shared: g.shared}
}

// choose lays what r chooses over what was chosen for e before. A newer name
// counts: users rename containers.
func (g *registry) choose(e *entry, r Registration) {
	g.mu.Lock()
	before := g.inForceLocked(e).String()
	if r.Container != (policy.Subject{}) {
		e.chosen.container = r.Container
	}
	e.chosen.choices = r.Choices.Over(e.chosen.choices)
	c := g.inForceLocked(e)
	if g.entries[e.reg.ID] == e && e.busy == nil {
		g.tree.SetPolicy(e.reg.ID, c.Policy())
	}
	g.mu.Unlock()
	if now := c.String(); now != before {
		g.log.Info("container's policy changed", "id", e.reg.ID, "from", before, "to", now)
	}
}

// setRules has other rules from now on, for the containers that are there too:
// what was chosen for one of them stays laid over them.
func (g *registry) setRules(r policy.Rules) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = r
	for id, e := range g.entries {
		if e.busy == nil { // settle does it for the others
			g.tree.SetPolicy(id, g.inForceLocked(e).Policy())
		}
	}
}

// defaults are the choices of containers that nothing was chosen for.
func (g *registry) defaults() policy.Choices {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rules.Default()
}
