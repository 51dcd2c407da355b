// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package fusefs_test

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

func TestMain(m *testing.M) { served.Main(m) }
