// SPDX-License-Identifier: Apache-2.0

package discover

import "strings"

// The engines by the names that users know them by.
const (
	Docker     = "docker"
	Podman     = "podman"
	Containerd = "containerd"
	CRIO       = "cri-o"
	LXC        = "lxc"
	Shim       = "procfs-shim"
)

// found is what a cgroup path says about a container.
type found struct {
	engine    string // "" where only a witness can tell
	namespace string // containerd's, where the path names it
	id        string
	top       string // the path down to the component that carries the ID
}

// prefixes are what engines put before a 64-digit ID in one component, which
// systemd's driver ends with .scope.
var prefixes = []struct{ prefix, engine string }{
	{"docker-", Docker},
	{"libpod-", Podman},
	{"libpod-payload-", Podman},
	{"crio-", CRIO},
	{"cri-containerd-", Containerd},
	{"nerdctl-", Containerd},
}

// runcNames are the middle parts of SLICE:NAME:ID, the form of a systemd cgroup
// that a runtime with the cgroupfs driver takes for a directory's name.
var runcNames = map[string]string{
	"docker": Docker, "libpod": Podman, "crio": CRIO, "cri-containerd": Containerd, "nerdctl": Containerd,
}

// match reads a cgroup path from the top and stops at the first component that
// carries a container's ID. known tells which pairs of namespace and ID
// containerd has.
func match(path string, known func(namespace, id string) bool) (found, bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	end := 0
	for i, part := range parts {
		end += 1 + len(part)
		next := ""
		if i+1 < len(parts) {
			next = parts[i+1]
		}
		f, both := component(parts[:i], part, next, known)
		if f.id == "" {
			continue
		}
		f.top = path[:end]
		if both {
			f.top = path[:end+1+len(next)]
		}
		return f, true
	}
	return found{}, false
}

// component looks at one name of a path, with those above and the one below
// it. both says that it takes both names to make the ID.
func component(above []string, part, next string, known func(namespace, id string) bool) (f found, both bool) {
	scope, isScope := strings.CutSuffix(part, ".scope")
	for _, p := range prefixes {
		if id, ok := strings.CutPrefix(scope, p.prefix); ok && isLongID(id) {
			return found{engine: p.engine, id: id}, false
		}
	}
	if f := strings.Split(part, ":"); len(f) == 3 && isLongID(f[2]) && runcNames[f[1]] != "" {
		return found{engine: runcNames[f[1]], id: f[2]}, false
	}
	if name, ok := strings.CutPrefix(part, "lxc.payload."); ok && name != "" {
		return found{engine: LXC, id: name}, false
	}
	if id, ok := strings.CutPrefix(scope, Shim+"-"); ok && isScope && id != "" {
		return found{engine: Shim, id: id}, false
	}
	if next != "" {
		switch {
		case part == "lxc" || part == "lxc.payload":
			return found{engine: LXC, id: next}, true
		case part == Shim:
			return found{engine: Shim, id: next}, true
		case known(part, next):
			engine := Containerd
			if part == "moby" {
				engine = Docker
			}
			return found{engine: engine, namespace: part, id: next}, true
		}
	}
	if isLongID(part) && len(above) > 0 {
		f := found{id: part}
		if above[len(above)-1] == Docker {
			f.engine = Docker
		}
		return f, false
	}
	return found{}, false
}

// isLongID tells whether s is an ID as docker, podman, CRI-O and Kubernetes'
// containerd make them: 64 hexadecimal digits.
func isLongID(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
