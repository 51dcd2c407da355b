// SPDX-License-Identifier: Apache-2.0

// Package policy turns what administrators said about the views of containers
// into the policy that is in force for one of them. It is pure.
//
// # Words
//
// An [Option] is one thing that can be chosen; it has the same name as a flag
// and as a key of the configuration file. [Options] is the table of all of them:
// flags, the file's keys, messages and the documentation's check are made from
// it.
//
// [Choices] are the options that somebody gave a value. What isn't among them
// was not chosen and overrides nothing; so choices can be laid over others
// ([Choices.Over]), and last over the default ([Choices.Apply], a view.Policy).
//
// A [Subject] is a container as rules see it: engine, id and name. A [Rule] has
// choices for the subjects that it matches.
//
// # Who wins
//
// [Rules.For] lays choices over one another, and the last one that has a say
// wins, option by option:
//
//	the built-in default      the zero view.Policy, the files bound by default
//	the file's [policy]       for all containers of the server
//	the file's [[container]]  for those that match, table after table
//	flags of `serve`          a flag wins over the file, also over [[container]]
//	flags of `run`, `mount`   for this one container
//
// A container that no rule and no flag of its own is about, and the shared tree,
// have the server's default ([Rules.Default]): the file's [policy] and the flags
// of `serve`.
//
// # Files
//
// Which files are bound over a container's own is an option too, but no part of
// view.Policy: a file is served the same whether it is bound or not. [Select]
// reads the list.
package policy
