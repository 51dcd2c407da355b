// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mounts are docker's default mounts, less those that the user's take the place
// of, and then the user's, outer ones before those inside them.
func (o *Options) mounts(host Host) ([]specs.Mount, error) {
	var own []specs.Mount
	flagOf := map[string]string{}
	add := func(flag, text string, m specs.Mount) error {
		if other, ok := flagOf[m.Destination]; ok {
			return bad(flag, text, "%s is already the destination of %s", m.Destination, other)
		}
		flagOf[m.Destination] = flag + " " + text
		own = append(own, m)
		return nil
	}
	for _, text := range o.Volumes {
		m, err := parseVolume(text, host)
		if err == nil {
			err = checkSource(m.Source)
		}
		if err != nil {
			return nil, &Error{Flag: "--volume", Value: text, Err: err}
		}
		if err := add("--volume", text, m); err != nil {
			return nil, err
		}
	}
	for _, text := range o.Tmpfs {
		m, err := parseTmpfs(text)
		if err != nil {
			return nil, &Error{Flag: "--tmpfs", Value: text, Err: err}
		}
		if err := add("--tmpfs", text, m); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(own, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	all := slices.DeleteFunc(defaultMounts(), func(m specs.Mount) bool {
		_, taken := flagOf[m.Destination]
		if _, dev := flagOf["/dev"]; dev && strings.HasPrefix(m.Destination, "/dev/") {
			taken = true
		}
		return taken
	})
	return append(all, own...), nil
}

// parseVolume reads SRC:DST[:OPTION,…]. It looks at nothing.
func parseVolume(text string, host Host) (specs.Mount, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return specs.Mount{}, errors.New("not SOURCE:DESTINATION or SOURCE:DESTINATION:OPTIONS")
	}
	source, err := volumeSource(parts[0], host.Workdir)
	if err != nil {
		return specs.Mount{}, err
	}
	destination, err := mountDestination(parts[1])
	if err != nil {
		return specs.Mount{}, err
	}
	m := specs.Mount{Destination: destination, Type: "bind", Source: source, Options: []string{"rbind"}}
	readOnly, propagation := "", ""
	if len(parts) == 3 {
		for word := range strings.SplitSeq(parts[2], ",") {
			switch word {
			case "ro", "rw":
				if readOnly != "" {
					return specs.Mount{}, fmt.Errorf("options %s: more than one of ro and rw", quoteOdd(parts[2]))
				}
				readOnly = word
			case "private", "rprivate", "slave", "rslave":
				if propagation != "" {
					return specs.Mount{}, fmt.Errorf("options %s: more than one propagation", quoteOdd(parts[2]))
				}
				propagation = word
			case "shared", "rshared":
				return specs.Mount{}, fmt.Errorf("option %s: mounts of the container never reach the host; take rslave", word)
			case "z", "Z":
				if host.SELinux {
					return specs.Mount{}, fmt.Errorf("option %s: SELinux labels are not supported", word)
				}
			case "consistent", "cached", "delegated":
				// Words for docker on other systems.
			default:
				return specs.Mount{}, fmt.Errorf("option %s: unknown (ro, rw, [r]private, [r]slave)", quoteOdd(word))
			}
		}
	}
	if readOnly == "ro" {
		// As docker ≥ 25: what is mounted below the source becomes read-only
		// too, where the kernel can.
		word := "ro"
		if host.RecursiveReadOnly {
			word = "rro"
		}
		m.Options = append(m.Options, word)
	}
	if propagation == "" {
		propagation = "rprivate"
	}
	m.Options = append(m.Options, propagation)
	return m, nil
}

// volumeSource is the absolute path of a source as written: absolute, or
// beginning with a dot; a bare name would be one of docker's named volumes.
func volumeSource(text, workdir string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("no source")
	case strings.ContainsRune(text, 0):
		return "", errors.New("a zero byte in the source")
	case filepath.IsAbs(text):
		return filepath.Clean(text), nil
	case text == "." || text == ".." || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../"):
		if workdir == "" {
			return "", fmt.Errorf("source %s: the working directory is gone", quoteOdd(text))
		}
		return filepath.Join(workdir, text), nil
	}
	return "", fmt.Errorf("source %s: named volumes are not supported; write ./%s for a path", quoteOdd(text), text)
}

func checkSource(source string) error {
	if _, err := os.Stat(source); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("source %s: no such file or directory (it is not made for you)", source)
		}
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// mountDestination is a place in the container that a user may mount at.
func mountDestination(text string) (string, error) {
	clean := path.Clean(text)
	switch {
	case !path.IsAbs(text):
		return "", fmt.Errorf("destination %s: not an absolute path", quoteOdd(text))
	case strings.ContainsRune(text, 0):
		return "", errors.New("a zero byte in the destination")
	case clean == "/":
		return "", errors.New("destination /: it is the root file system's (--rootfs)")
	case clean == "/proc" || strings.HasPrefix(clean, "/proc/"):
		return "", fmt.Errorf("destination %s: nothing of yours goes below /proc", quoteOdd(clean))
	case clean == "/sys":
		return "", errors.New("destination /sys: only below it")
	}
	return clean, nil
}

// parseTmpfs reads DST[:OPTION,…].
func parseTmpfs(text string) (specs.Mount, error) {
	place, list, _ := strings.Cut(text, ":")
	destination, err := mountDestination(place)
	if err != nil {
		return specs.Mount{}, err
	}
	// docker's defaults, each of which its opposite takes away.
	options := []string{"noexec", "nosuid", "nodev"}
	var extra []string
	if list != "" {
		for word := range strings.SplitSeq(list, ",") {
			key, value, valued := strings.Cut(word, "=")
			switch {
			case valued:
				if !tmpfsValue(key, value) {
					return specs.Mount{}, fmt.Errorf("option %s: unknown or not a value for it", quoteOdd(word))
				}
			case slices.Contains([]string{"exec", "suid", "dev"}, word):
				options = slices.DeleteFunc(options, func(o string) bool { return o == "no"+word })
			case slices.Contains([]string{"noexec", "nosuid", "nodev"}, word):
				extra = slices.DeleteFunc(extra, func(o string) bool { return "no"+o == word })
				if slices.Contains(options, word) {
					continue
				}
			case !slices.Contains([]string{"ro", "rw", "noatime", "relatime", "strictatime", "nodiratime"}, word):
				return specs.Mount{}, fmt.Errorf("option %s: unknown", quoteOdd(word))
			}
			extra = append(extra, word)
		}
	}
	return specs.Mount{
		Destination: destination, Type: "tmpfs", Source: "tmpfs",
		Options: append(append(options, "rprivate"), extra...),
	}, nil
}

// tmpfsValue checks tmpfs(5)'s options with a value.
func tmpfsValue(key, value string) bool {
	switch key {
	case "size", "nr_blocks", "nr_inodes":
		digits := strings.TrimRight(value, "kKmMgG")
		if key == "size" {
			digits = strings.TrimRight(value, "kKmMgG%")
		}
		_, err := strconv.ParseUint(digits, 10, 63)
		return err == nil && len(value) <= len(digits)+1
	case "mode":
		_, err := strconv.ParseUint(value, 8, 12)
		return err == nil
	case "uid", "gid":
		_, err := strconv.ParseUint(value, 10, 31)
		return err == nil
	case "mpol":
		return value != "" && strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789:-=") == ""
	}
	return false
}
