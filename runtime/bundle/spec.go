// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

// Validate checks every value against the others and the host and returns the
// first bad one, an [*Error]; where a controller is missing it wraps
// [cgroup.ErrNoController]. It reads, volumes' sources and disks for instance,
// but makes nothing. Whether the user exists only Spec can tell.
func (o *Options) Validate(host Host) error {
	_, err := o.build(host)
	return err
}

// Spec is the configuration of the container whose root directory root is, or
// will be when it is started. rootfs is where its files can be read now, for
// the user's name: the lowerdir, or root itself.
func (o *Options) Spec(host Host, rootfs, root string) (*specs.Spec, error) {
	spec, err := o.build(host)
	if err != nil {
		return nil, err
	}
	spec.Root.Path = root
	who, home, err := o.lookupUser(rootfs)
	if err != nil {
		return nil, err
	}
	spec.Process.User = who
	if !hasEnv(spec.Process.Env, "HOME") {
		spec.Process.Env = append(spec.Process.Env, "HOME="+home)
	}
	spec.Process.Capabilities = capabilitySets(spec.Process.Capabilities.Bounding, who.UID)
	return spec, nil
}

// build is the configuration without what the root file system decides.
func (o *Options) build(host Host) (*specs.Spec, error) {
	for _, check := range []func() error{o.command, o.names, o.checkUser} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	hostname, err := o.hostname(host)
	if err != nil {
		return nil, err
	}
	resources, err := o.resources(host)
	if err != nil {
		return nil, err
	}
	workdir, err := o.workdir()
	if err != nil {
		return nil, err
	}
	env, err := o.environment(hostname, host.LookupEnv)
	if err != nil {
		return nil, err
	}
	mounts, err := o.mounts(host)
	if err != nil {
		return nil, err
	}
	caps, err := o.capabilities(host)
	if err != nil {
		return nil, err
	}
	secure, err := o.security()
	if err != nil {
		return nil, err
	}
	linux := &specs.Linux{Resources: resources}
	if o.ID != "" {
		linux.CgroupsPath = cgroup.Parent + "/" + o.ID
	}
	if !secure.openPaths {
		linux.MaskedPaths, linux.ReadonlyPaths = maskedPaths(host.SysRoot), readonlyPaths()
	}
	if err := o.namespaces(host, linux); err != nil {
		return nil, err
	}
	return &specs.Spec{
		Version:  specs.Version,
		Hostname: hostname,
		Root:     &specs.Root{Readonly: o.ReadOnly},
		Process: &specs.Process{
			Terminal:        o.TTY,
			Args:            o.Args,
			Env:             env,
			Cwd:             workdir,
			NoNewPrivileges: secure.noNewPrivileges,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps},
		},
		Mounts: mounts,
		Linux:  linux,
	}, nil
}

// namespaces adds the namespaces and what goes with some of them.
func (o *Options) namespaces(host Host, linux *specs.Linux) error {
	kinds := []specs.LinuxNamespaceType{
		specs.MountNamespace, specs.UTSNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.CgroupNamespace,
	}
	switch o.Network {
	case "", networkNone:
		kinds = append(kinds, specs.NetworkNamespace)
		linux.Sysctl = sysctls()
	case networkHost:
	default:
		return bad("--network", o.Network, "neither none nor host")
	}
	switch {
	case o.Time == timeHost:
	case o.Time != "" && o.Time != timePrivate:
		return bad("--time", o.Time, "neither private nor host")
	case !host.TimeNS && o.Time == timePrivate:
		return bad("--time", o.Time, "this kernel has no time namespaces")
	case host.TimeNS:
		kinds = append(kinds, specs.TimeNamespace)
		linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": minus(host.BootClock())}
	}
	for _, kind := range kinds {
		linux.Namespaces = append(linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	return nil
}

// minus is the offset that makes a clock that shows since start at 0. Its
// nanoseconds count upwards from its seconds.
func minus(since time.Duration) specs.LinuxTimeOffset {
	seconds := int64(since / time.Second)
	rest := since % time.Second
	if rest == 0 {
		return specs.LinuxTimeOffset{Secs: -seconds}
	}
	return specs.LinuxTimeOffset{Secs: -seconds - 1, Nanosecs: uint32(time.Second - rest)}
}
