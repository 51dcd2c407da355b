// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"strconv"
	"strings"
)

// membership is one line of /proc/PID/cgroup (cgroups(7)).
type membership struct {
	controllers []string // v1: "cpu", "cpuacct" or "name=systemd"; nil for cgroup2
	path        string   // as the kernel wrote it
}

// deletedSuffix is what the kernel puts behind the path of a cgroup2 cgroup that
// was removed. A live cgroup may have a name that ends so: only a look at the
// directory tells them apart.
const deletedSuffix = " (deleted)"

// parseProcCgroup reads /proc/PID/cgroup. A path may hold colons and blanks (not
// newlines: the kernel refuses such names); nothing in it is escaped.
func parseProcCgroup(text []byte) ([]membership, error) {
	var members []membership
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		hierarchy, rest, ok1 := bytes.Cut(line, []byte(":"))
		controllers, path, ok2 := bytes.Cut(rest, []byte(":"))
		if !ok1 || !ok2 {
			return nil, &ParseError{Line: number, Input: string(line), Err: errFields}
		}
		if _, err := strconv.ParseUint(string(hierarchy), 10, 64); err != nil {
			return nil, &ParseError{Line: number, Input: string(line), Err: errFields}
		}
		m := membership{path: string(path)}
		if err := checkPath(m.path); err != nil {
			return nil, &ParseError{Line: number, Input: string(line), Err: err}
		}
		if len(controllers) > 0 {
			m.controllers = strings.Split(string(controllers), ",")
			for _, c := range m.controllers {
				if !isControllerName(c) {
					return nil, &ParseError{Line: number, Input: string(line), Err: errNotName}
				}
			}
		}
		members = append(members, m)
	}
	return members, nil
}

// isControllerName takes "cpu" and "name=systemd".
func isControllerName(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsAny(name, ",:\n\x00")
}

// checkPath takes "/", "/a/b" and "/../../a": absolute, no empty component, no
// ".", and ".." only at the start, where the kernel writes it for what is
// outside the reader's cgroup namespace.
func checkPath(path string) error {
	if path == "/" {
		return nil
	}
	if len(path) > 4096 || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\n\x00") {
		return errNotPath
	}
	named := false
	for part := range strings.SplitSeq(path[1:], "/") {
		switch part {
		case "", ".":
			return errNotPath
		case "..":
			if named {
				return errNotPath
			}
		default:
			named = true
		}
	}
	return nil
}

// below is path relative to root, "" if they are the same; ok is false if path
// isn't root or below it. Both have passed checkPath.
func below(root, path string) (rel string, ok bool) {
	switch {
	case path == root:
		return "", true
	case root == "/":
		rel = path[1:]
	case strings.HasPrefix(path, root) && path[len(root)] == '/':
		rel = path[len(root)+1:]
	default:
		return "", false
	}
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false // above root: "/.." is not below "/"
	}
	return rel, true
}

// parent is the path one level up. It must not be asked of "/" or of "/..",
// whose parents have no name here.
func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// join is rel below root.
func join(root, rel string) string {
	switch {
	case rel == "":
		return root
	case root == "/":
		return "/" + rel
	default:
		return root + "/" + rel
	}
}
