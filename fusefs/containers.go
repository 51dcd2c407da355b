// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
)

type (
	// A Container is what a bound view is made from.
	Container = texts.Container
	// A Cause is a class of failed reads, as they are counted.
	Cause = failure.Cause
)
