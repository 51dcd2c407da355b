// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// parseEnv reads one --env. A name alone hands the caller's variable on; one
// that the caller hasn't takes a default of ours away, as in docker.
func parseEnv(text string, lookup func(string) (string, bool)) (name, value string, given bool, err error) {
	name, value, given = strings.Cut(text, "=")
	switch {
	case name == "":
		return "", "", false, errors.New("no name")
	case strings.ContainsRune(text, 0):
		return "", "", false, errors.New("a zero byte")
	case !given && lookup != nil:
		value, given = lookup(name)
	}
	return name, value, given, nil
}

// environment is docker's: PATH, HOSTNAME, with a terminal TERM, and then the
// user's; a later value takes the place of an earlier one.
func (o *Options) environment(hostname string, lookup func(string) (string, bool)) ([]string, error) {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + hostname}
	if o.TTY {
		env = append(env, "TERM=xterm")
	}
	for _, text := range o.Env {
		name, value, given, err := parseEnv(text, lookup)
		if err != nil {
			return nil, &Error{Flag: "--env", Value: text, Err: err}
		}
		at := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		switch {
		case at >= 0 && given:
			env[at] = name + "=" + value
		case at >= 0:
			env = slices.Delete(env, at, at+1)
		case given:
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

// hasEnv reports whether env sets name.
func hasEnv(env []string, name string) bool {
	return slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// capabilities are docker's default ones with --cap-drop taken away and
// --cap-add added, so that a name in both is there; ALL in either stands for
// every one that the kernel knows.
func (o *Options) capabilities(host Host) ([]string, error) {
	add, addAll, err := capabilityNames("--cap-add", o.CapAdd, host)
	if err != nil {
		return nil, err
	}
	drop, dropAll, err := capabilityNames("--cap-drop", o.CapDrop, host)
	if err != nil {
		return nil, err
	}
	base := defaultCapabilities()
	switch {
	case addAll && dropAll:
		return nil, bad("--cap-add", "ALL", "in conflict with --cap-drop ALL")
	case addAll:
		return without(host.Capabilities, drop), nil
	case dropAll:
		base = nil
	}
	caps := without(base, drop)
	for _, name := range add {
		if !slices.Contains(caps, name) {
			caps = append(caps, name)
		}
	}
	return caps, nil
}

func without(all, less []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(less, name) })
}

// capabilityNames brings names into the form CAP_NAME.
func capabilityNames(flag string, values []string, host Host) (names []string, all bool, err error) {
	for _, text := range values {
		name := strings.ToUpper(text)
		if name == "ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if !slices.Contains(host.Capabilities, name) {
			return nil, false, bad(flag, text, "not a capability of this kernel (such as NET_ADMIN)")
		}
		names = append(names, name)
	}
	return names, all, nil
}

func capabilityName(c capability.Cap) string { return "CAP_" + strings.ToUpper(c.String()) }

// capabilitySets gives a root process the capabilities; another user's process
// can only regain them through set-user-id programs, within the bounding set.
func capabilitySets(caps []string, uid uint32) *specs.LinuxCapabilities {
	sets := &specs.LinuxCapabilities{Bounding: caps}
	if uid == 0 {
		sets.Effective, sets.Permitted = caps, caps
	}
	return sets
}

// security is what --security-opt says.
type security struct {
	noNewPrivileges bool
	openPaths       bool // systempaths=unconfined: nothing masked or read-only
}

func (o *Options) security() (security, error) {
	var s security
	for _, text := range o.SecurityOpt {
		key, value, valued := strings.Cut(text, "=")
		if !valued {
			key, value, valued = strings.Cut(text, ":") // docker's old form
		}
		switch {
		case key == "no-new-privileges" && (!valued || value == "true"):
			s.noNewPrivileges = true
		case key == "no-new-privileges" && value == "false":
			s.noNewPrivileges = false
		case key == "systempaths" && value == "unconfined":
			s.openPaths = true
		case (key == "seccomp" || key == "apparmor") && value == "unconfined":
			// Nothing confines.
		default:
			return security{}, bad("--security-opt", text, "not supported (no-new-privileges, systempaths=unconfined)")
		}
	}
	return s, nil
}

// hostname is the container's: --hostname, the host's with its network, else
// the start of the container's ID as in docker.
func (o *Options) hostname(host Host) (string, error) {
	switch {
	case o.Hostname != "":
		if !validHostname(o.Hostname) {
			return "", bad("--hostname", o.Hostname, "not a host name (letters, digits, hyphens, dots; at most 64)")
		}
		return o.Hostname, nil
	case o.Network == networkHost && host.Hostname != "":
		return host.Hostname, nil
	case o.ID == "":
		return "", nil
	}
	return o.ID[:min(len(o.ID), 12)], nil
}

// validHostname follows RFC 1123 but for the underscore, which docker's users
// have, and the kernel's 64 bytes.
func validHostname(name string) bool {
	if len(name) > 64 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || !isWord(label, "-_") {
			return false
		}
	}
	return true
}

// isWord reports whether s has letters, digits and the extra ones only.
func isWord(s, extra string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(extra, c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// validName is docker's rule for container names; they become directories.
func validName(name string) bool {
	return len(name) <= 128 && isWord(name, "_.-") && isWord(name[:1], "") && len(name) > 1
}

func (o *Options) names() error {
	if o.Name != "" && !validName(o.Name) {
		return bad("--name", o.Name, "not two or more letters, digits, _ . - that begin with a letter or digit")
	}
	if o.ID != "" && !validName(o.ID) {
		return fmt.Errorf("container ID: %s: not letters, digits, _ . -", quoteOdd(o.ID))
	}
	return nil
}

// workdir is --workdir, "/" without it.
func (o *Options) workdir() (string, error) {
	switch {
	case o.Workdir == "":
		return "/", nil
	case !path.IsAbs(o.Workdir):
		return "", bad("--workdir", o.Workdir, "not an absolute path")
	case strings.ContainsRune(o.Workdir, 0):
		return "", bad("--workdir", o.Workdir, "a zero byte")
	}
	return path.Clean(o.Workdir), nil
}

func (o *Options) command() error {
	if len(o.Args) == 0 || o.Args[0] == "" {
		return errors.New("command: none given (procfs-shim run … --rootfs DIR -- COMMAND)")
	}
	for _, arg := range o.Args {
		if strings.ContainsRune(arg, 0) {
			return fmt.Errorf("command: %q: a zero byte", arg)
		}
	}
	return nil
}
