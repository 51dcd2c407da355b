// SPDX-License-Identifier: Apache-2.0

// Package config reads the configuration file: TOML text into the settings of a
// server and the rules of package policy, every key and value checked.
//
//	mountpoint = "/var/lib/procfs-shim"
//	state-dir = "/run/procfs-shim"
//	log-level = "info"
//	log-format = "text"
//
//	[policy]                 # of every container and of the shared tree
//	on-error = "host"
//
//	[[container]]            # of those that match, table after table
//	name = "web-*"           # pattern; id and engine likewise, all must fit
//	cpu-view = "cpuset"
//	files = ["default", "-loadavg"]
//
// Keys are called as the flags are. What a file doesn't say is "" here, so that
// flags and defaults can be told from it. All that is wrong with a file is
// reported at once, each as an [Error] with its line.
//
// It is the only package that knows TOML. The library decodes into structs, but
// stops at the first value of a wrong type, and doesn't say where the others
// stand; so it judges the document as a whole (syntax, keys given twice) and what
// is in it is read from its syntax tree, whose interface it calls unstable: the
// version is pinned.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// DefaultPath is the file that is read unless another one is named.
const DefaultPath = "/etc/procfs-shim/config.toml"

// maxSize bounds a file, in bytes: nobody writes that many rules.
const maxSize = 1 << 20

// File is what a configuration file says.
type File struct {
	Mountpoint string // absolute
	StateDir   string // absolute
	LogLevel   string // one of Levels
	LogFormat  string // one of Formats
	Policy     policy.Choices
	Containers []policy.Rule
}

// Rules are the file's rules under the flags of a server.
func (f File) Rules(flags policy.Choices) policy.Rules {
	return policy.Rules{Policy: f.Policy, Containers: f.Containers, Flags: flags}
}

// An Error is one thing that is wrong with a file.
type Error struct {
	Path string
	Line int    // from 1 on
	Key  string // with the tables around it, "policy.cpu-view"; "" where the text is no TOML
	Err  error
}

func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d: %s: %v", e.Path, e.Line, e.Key, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Load reads the file at path, or the one at DefaultPath if path is "". That one
// may be missing: then nothing is said. The error joins all that is wrong, see
// Parse.
func Load(path string) (File, error) {
	if path != "" {
		return Read(path)
	}
	f, err := Read(DefaultPath)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	return f, err
}

// Read reads the file at path.
func Read(path string) (File, error) {
	// Not blocking, for a FIFO without a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return File{}, fmt.Errorf("configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return File{}, fmt.Errorf("configuration: %s: %w", path, err)
	}
	if len(text) > maxSize {
		return File{}, fmt.Errorf("configuration: %s: more than %d bytes", path, maxSize)
	}
	return Parse(path, text)
}

// Levels are the log levels, most talkative first.
func Levels() []string { return []string{"debug", "info", "warn", "error"} }

// Formats are the forms of the log.
func Formats() []string { return []string{"text", "json"} }

// Logger returns a logger that writes to out; level "" is info, format "" text.
// The errors name what is wrong as a flag.
func Logger(out io.Writer, level, format string) (*slog.Logger, error) {
	if level == "" {
		level = "info"
	}
	if err := oneOf(level, Levels()); err != nil {
		return nil, fmt.Errorf("--log-level: %q: %w", level, err)
	}
	var o slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	o.Level = l
	switch format {
	case "", "text":
		return slog.New(slog.NewTextHandler(out, &o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(out, &o)), nil
	}
	return nil, fmt.Errorf("--log-format: %q: %w", format, oneOf(format, Formats()))
}

func oneOf(value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("must be one of %s", strings.Join(allowed, ", "))
}

func absolute(path string) error {
	if !filepath.IsAbs(path) {
		return errors.New("must be an absolute path")
	}
	return nil
}
