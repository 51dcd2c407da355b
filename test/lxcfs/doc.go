// SPDX-License-Identifier: Apache-2.0

// Package lxcfs tests the program in LXCFS's place: called by that name, from
// the unit that Debian ships, under LXC's own mount hook. There is nothing here
// but tests, which need root.
package lxcfs
