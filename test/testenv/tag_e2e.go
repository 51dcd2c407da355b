// SPDX-License-Identifier: Apache-2.0

//go:build e2e || sweep || vm || vmslow

package testenv

// demanded says that this build is for a machine that has everything: a gate
// that stays shut is a failure.
const demanded = true
