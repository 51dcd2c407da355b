// SPDX-License-Identifier: Apache-2.0

//go:build e2e && !race

package container_test

// smallest is docker's minimum for -m, in bytes.
const smallest = 6 << 20
