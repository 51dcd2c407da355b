// SPDX-License-Identifier: Apache-2.0

//go:build !e2e && !sweep && !vm && !vmslow

package testenv

// demanded says that this build may run anywhere, as anybody: a gate that
// stays shut is a skip.
const demanded = false
