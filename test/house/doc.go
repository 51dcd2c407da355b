// SPDX-License-Identifier: Apache-2.0

// Package house holds the rules of the source tree that a test can check:
// which package may import which, how long a file may be, what every Go file
// and every package starts with, that nothing writes to a package's variables.
// The linter knows most of them too (.golangci.yml); here they hold on machines
// without it, and a mistake in its patterns shows.
package house
