// SPDX-License-Identifier: Apache-2.0

// Package sysdir shows a part of a directory of the host's /sys: what an allow-list
// names, as it is there now, each entry with a number that means the same to every
// process.
//
// # The allow-list
//
// A [Rule] allows the entries of one pattern, relative to the directory:
//
//	possible                  this name
//	cpu#                      cpu and a decimal number: cpu0, cpu1, …
//	cpu#/cache/index#/size    at most two of them in a path
//	vulnerabilities/*         every file there
//
// and says whether they are files, directories or symbolic links; what is there
// but is of another kind isn't shown. A directory needs a rule of its own, and is
// shown whatever rules there are for what it has in it.
//
// # Numbers
//
// An entry's number says which rule it has and which numbers its path has in it:
//
//	1 | tree | first | second | rule
//
// So it isn't assigned and needn't be remembered: a process that was never asked
// for the entry can tell its path from the number. The * of a pattern counts as
// first, the place of the name among those that match, in their order: the
// kernel makes these directories once and for all. The top bit is set, so that
// numbers of this kind are told from others.
//
// # How the host is read
//
// Nothing here opens a path that somebody asks for: a name that was asked for is
// matched against the rules, and the path is made of the rule and the numbers. The
// directory is opened once; everything is below that descriptor, and no symbolic
// link is followed (openat2(2), Linux 5.6).
package sysdir
