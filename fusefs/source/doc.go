// SPDX-License-Identifier: Apache-2.0

// Package source generates the text of one file for one container.
//
//	host := source.NewHost(…)              // once
//	c := host.Container(cgroup, init)      // what is known of a container
//	text, err := c.Append(dst, file, how)  // now
//
// A [File] is a row of the table of served files ([Files]): its path, and its
// source, which turns the host's numbers and a cgroup's numbers into the text. The
// directories of /sys whose entries are the host's ([Directories]) have files of
// the same kind, made when they are asked for.
//
// # A moment
//
// A source is asked at one moment. It reads what it needs of the cgroup, once,
// and of the host (package hostread, shared for at most 10 ms), and leaves what the
// numbers mean to package view and what they look like to package procfile. What
// was read is noted in a [Record], if there is one, so that a text can be explained
// after the moment, also when the cgroup is gone.
//
// Two numbers need a memory: CPU times that never fall (package cputime) and load
// averages (package load). A [Container] has it.
//
// # Whose text
//
// The root cgroup (an empty chain of limits) and a policy of host show the host's
// own text, as a reader on the host gets it. A cgroup that can't be read is an error
// here; what is shown then is package fusefs's to say.
//
// # Memory and locks
//
// Texts are made in memory that is used again: one room for each rendering under
// way. A Container's lock guards its CPU times; nothing is read under it but the
// clock.
package source
