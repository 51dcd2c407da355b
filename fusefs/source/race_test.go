// SPDX-License-Identifier: Apache-2.0

//go:build race

package source

// raced: with the race detector a sync.Pool forgets some of what it is given.
const raced = true
