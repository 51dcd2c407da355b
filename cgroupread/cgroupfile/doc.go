// SPDX-License-Identifier: Apache-2.0

// Package cgroupfile turns the text of cgroup interface files into values, what
// procfile is for /proc. A parser is named after its file: [ParseCPUMax] reads
// cpu.max. Where v1 has the same in a file of its own, that one's parser stands
// beside it.
//
// Rules for all of them:
//
//   - A key that isn't known passes, one that is missing is 0: kernels differ.
//   - What is known by name but isn't a number is a [*ParseError]: nothing is
//     guessed, nothing wraps. Numbers past the type's end saturate where the
//     kernel means "without end", and are errors elsewhere.
//   - Numbers come out in the units of package limits: bytes and
//     [time.Duration]. µs, ns, ticks and pages end here.
//   - Parsers that append take memory from what they append to, old names
//     included, so that parsing into the same slice again allocates nothing.
//
// The package is pure: it opens nothing and has no state.
package cgroupfile
