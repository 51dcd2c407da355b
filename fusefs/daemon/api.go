// SPDX-License-Identifier: Apache-2.0

package daemon

import "github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"

// What travels over the control socket, and is described in package wire.
type (
	// Registration says which container is to be served.
	Registration = wire.Registration
	// Registered says where a container's files are.
	Registered = wire.Registered
	// Status is what the server knows of one container.
	Status = wire.Status
	// Server is what the server says of itself.
	Server = wire.Server
	// Error is an error that the server answered; its Code is one of wire's.
	Error = wire.Error
)
