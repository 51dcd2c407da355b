// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

// settings are the flags of every command that talks to a server.
type settings struct {
	stateDir   string
	configPath string // "" for the default file, which may be missing
}

func (s *settings) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.stateDir, "state-dir", "", "directory of sockets, state and the containers' trees (default "+defaultStateDir+")")
	f.StringVar(&s.configPath, "config", "", "configuration `FILE` (default "+config.DefaultPath+", if it is there)")
}

// load reads the configuration file and fills in the state directory.
func (s *settings) load() (config.File, error) {
	file, err := config.Load(s.configPath)
	s.stateDir = cmp.Or(s.stateDir, file.StateDir, defaultStateDir)
	return file, err
}

// find fills in the state directory: all that most commands want of the file.
func (s *settings) find() error {
	if s.stateDir != "" && s.configPath == "" {
		return nil
	}
	_, err := s.load()
	return err
}

// addPolicyFlags adds a flag for each option; what isn't given isn't chosen.
func addPolicyFlags(f *pflag.FlagSet, c *policy.Choices, withDefault bool) {
	for _, o := range policy.Options() {
		help := o.Help
		if withDefault && o.Values != nil && !o.IsBool() {
			help += " (default " + o.Values[0] + ")"
		}
		flag := f.VarPF(policy.Flag{Option: o, Choices: c}, o.Name, "", help)
		if o.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
}
