// SPDX-License-Identifier: Apache-2.0

package lxcfs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// Server is what Run needs to know.
type Server struct {
	Options
	Mountpoint string
	// Pidfile is where the PID goes; "" is RuntimeDir/lxcfs.pid.
	Pidfile string
	// RuntimeDir has the pidfile, unless told otherwise, and the state directory.
	RuntimeDir string
	Debug      bool
	Log        io.Writer
	Version    string
	// Prepare is called before anything is served, with the state directory.
	Prepare func(ctx context.Context, stateDir string, log *slog.Logger)
}

// Run serves in LXCFS's place until ctx ends; see daemon.Run. The configuration
// file is the default one, if it is there.
func Run(ctx context.Context, s Server) (err error) {
	// The kernel lists mounts by absolute paths.
	mountpoint, err := filepath.Abs(s.Mountpoint)
	if err != nil {
		return err
	}
	file, err := config.Load("")
	if err != nil {
		return err
	}
	level := file.LogLevel
	if s.Debug {
		level = "debug"
	}
	log, err := config.Logger(s.Log, level, file.LogFormat)
	if err != nil {
		return err
	}
	for _, line := range s.WithoutEffect() {
		log.Warn("command line", "warning", line)
	}
	if s.Pidfile == "" {
		s.Pidfile = filepath.Join(s.RuntimeDir, "lxcfs.pid")
	}
	release, err := LockPidfile(s.Pidfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	stateDir := filepath.Join(s.RuntimeDir, "procfs-shim")
	s.Prepare(ctx, stateDir, log)
	return daemon.Run(ctx, daemon.Config{
		Mountpoint: mountpoint,
		StateDir:   stateDir,
		Proc:       "/proc",
		Sys:        "/sys",
		Rules:      s.Rules(file),
		Reload: func() (policy.Rules, error) {
			file, err := config.Load("")
			return s.Rules(file), err
		},
		LXCFS:   true,
		Version: s.Version,
		Log:     log,
	})
}
