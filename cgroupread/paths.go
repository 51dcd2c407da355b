// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Paths says where one container's cgroup is: one path on v2, one for each
// controller on v1 and hybrid, each relative to its hierarchy's root as
// /proc/PID/cgroup writes it. It is a value; its zero value is no cgroup. It
// only means something on the host, and in the cgroup namespace, that it was
// made in.
type Paths struct {
	unified string // in cgroup2, "" where there is none
	// v1 has a path for each v1 controller, and for each named hierarchy under
	// "name=…".
	v1 places
}

// NewPaths makes Paths of a path in cgroup2 ("" for none) and one for each v1
// controller. The error names a path or a controller that the kernel could not
// have written.
func NewPaths(unified string, controllers map[string]string) (Paths, error) {
	if unified != "" {
		if err := checkPath(unified); err != nil {
			return Paths{}, fmt.Errorf("cgroup path: %q: %w", unified, err)
		}
	}
	if len(controllers) > 64 {
		return Paths{}, fmt.Errorf("cgroup paths: %d controllers: more than Linux has", len(controllers))
	}
	for name, path := range controllers {
		if !isControllerName(name) {
			return Paths{}, fmt.Errorf("cgroup controller: %q: %w", name, errNotName)
		}
		if err := checkPath(path); err != nil {
			return Paths{}, fmt.Errorf("cgroup path: %s: %q: %w", name, path, err)
		}
	}
	return newPaths(unified, maps.All(controllers)), nil
}

// newPaths makes Paths of what has been checked.
func newPaths(unified string, controllers iter.Seq2[string, string]) Paths {
	v1 := placesOf(controllers)
	return Paths{unified: v1.once(unified), v1: v1}
}

// IsZero reports whether p is no cgroup at all.
func (p Paths) IsZero() bool { return p.unified == "" && len(p.v1) == 0 }

// Path is the path in the controller's hierarchy. The controller is "memory",
// "cpu", …, "name=systemd" for a named v1 hierarchy, "" for cgroup2. On v2 it is
// the same for all; on hybrid what v1 doesn't have is in cgroup2.
func (p Paths) Path(controller string) (string, bool) {
	if path, ok := p.v1.get(controller); ok {
		return path, true
	}
	if strings.HasPrefix(controller, "name=") {
		return "", false
	}
	return p.unified, p.unified != ""
}

// Equal reports whether both are the same cgroup in every hierarchy.
func (p Paths) Equal(o Paths) bool {
	return p.unified == o.unified && slices.Equal(p.v1, o.v1)
}

// isResource reports whether a v1 controller is one that views are made from.
func isResource(controller string) bool {
	switch controller {
	case "cpu", "cpuacct", "cpuset", "memory", "hugetlb", "blkio", "pids":
		return true
	}
	return false
}

// Contains reports whether child is p or a descendant of p in every hierarchy
// that has one of the controllers that views are made from. On v1 and hybrid
// others don't count: engines put `exec`ed processes elsewhere in name=systemd
// or a cgroup2 without controllers than the container's first one.
func (p Paths) Contains(child Paths) bool {
	compared := false
	for controller, path := range p.v1.all() {
		if !isResource(controller) {
			continue
		}
		other, ok := child.v1.get(controller)
		if !ok {
			return false
		}
		if _, ok := below(path, other); !ok {
			return false
		}
		compared = true
	}
	if compared {
		return true
	}
	if p.unified == "" || child.unified == "" {
		return false
	}
	_, ok := below(p.unified, child.unified)
	return ok
}

// TrimInitScope is p less one trailing "/init.scope" of each path: systemd as a
// container's init moves itself into that child cgroup.
func (p Paths) TrimInitScope() Paths {
	return newPaths(trimInitScope(p.unified), func(yield func(controller, path string) bool) {
		for controller, path := range p.v1.all() {
			if !yield(controller, trimInitScope(path)) {
				return
			}
		}
	})
}

func trimInitScope(path string) string {
	trimmed, ok := strings.CutSuffix(path, "/init.scope")
	if ok && trimmed == "" {
		return "/"
	}
	return trimmed
}

// String is p for messages: the path alone if it is the same everywhere, else
// "cpu,memory:/docker/abc cpuset:/" with the cgroup2 path, if any, first.
// Unprintable characters are quoted.
func (p Paths) String() string {
	switch {
	case len(p.v1) == 0:
		return printable(p.unified)
	case len(p.v1) == 1 && (p.unified == "" || p.unified == p.v1[0].path):
		return printable(p.v1[0].path)
	}
	var b strings.Builder
	if p.unified != "" {
		b.WriteString("unified:" + printable(p.unified) + " ")
	}
	for i, one := range p.v1 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(one.controllers.Value() + ":" + printable(one.path))
	}
	return b.String()
}

func printable(path string) string {
	if quoted := strconv.Quote(path); len(quoted) != len(path)+2 {
		return quoted
	}
	return path
}

// pathsJSON is the form on the control socket.
type pathsJSON struct {
	Unified     wirePath            `json:"unified,omitempty"`
	Controllers map[string]wirePath `json:"controllers,omitempty"`
}

// wirePath is a path as JSON text. The kernel takes any bytes in a name, JSON
// only UTF-8: other paths are written as "base64:…", which no path begins with.
type wirePath string

const base64Prefix = "base64:"

func (w wirePath) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(w)) {
		return []byte(w), nil
	}
	return base64.StdEncoding.AppendEncode([]byte(base64Prefix), []byte(w)), nil
}

func (w *wirePath) UnmarshalText(text []byte) error {
	encoded, ok := bytes.CutPrefix(text, []byte(base64Prefix))
	if !ok {
		*w = wirePath(text)
		return nil
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return fmt.Errorf("cgroup path: %q: %w", text, err)
	}
	*w = wirePath(raw)
	return nil
}

// MarshalJSON writes {"unified": PATH, "controllers": {NAME: PATH}}, less what is
// empty.
func (p Paths) MarshalJSON() ([]byte, error) {
	j := pathsJSON{Unified: wirePath(p.unified)}
	if p.v1 != nil {
		j.Controllers = make(map[string]wirePath)
		for controller, path := range p.v1.all() {
			j.Controllers[controller] = wirePath(path)
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("cgroup paths: %s: %w", p, err)
	}
	return text, nil
}

// UnmarshalJSON reads what MarshalJSON writes and checks it as [NewPaths] does.
func (p *Paths) UnmarshalJSON(text []byte) error {
	var j pathsJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("cgroup paths: %w", err)
	}
	var controllers map[string]string
	if j.Controllers != nil {
		controllers = make(map[string]string, len(j.Controllers))
		for controller, path := range j.Controllers {
			controllers[controller] = string(path)
		}
	}
	parsed, err := NewPaths(string(j.Unified), controllers)
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
