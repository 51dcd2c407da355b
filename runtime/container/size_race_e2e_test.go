// SPDX-License-Identifier: Apache-2.0

//go:build e2e && race

package container_test

// smallest is what the race detector's run-time library lets start, in bytes.
const smallest = 256 << 20
