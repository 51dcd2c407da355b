// SPDX-License-Identifier: Apache-2.0

// Package state keeps, for each container, what has to be removed when its
// owner is gone, and removes it.
//
// What it turns into what: a container id into a directory that one process
// owns ([Store.Claim]), a [Record] into a file that others can read
// ([Store.Load], [Store.List]), and the directories of dead owners into
// nothing ([Store.Sweep]).
//
//	STATEDIR/containers/        its flock(2): the directory lock
//	STATEDIR/containers/ID/lock       its flock: held as long as the owner lives
//	STATEDIR/containers/ID/state.json the record, replaced as a whole
//
// # Owners
//
// The process that claimed an id holds the lock of its entry. The kernel drops
// a flock with the last descriptor of its open file, and all descriptors here
// are close-on-exec: a free lock is a dead owner, whatever killed it, and no
// PID has to be trusted. A record names cgroups, directories and the init
// process before they are made, so what a dead owner left can always be found.
//
// # Locks and their order
//
// The directory lock makes "create the entry and lock it" and "find the free
// locks" and "remove the entry" one step each; it is held for microseconds and
// never while something is killed or deleted. Whoever holds it asks for the
// lock of an entry without waiting. Whoever holds the lock of an entry may wait
// for the directory lock. Nobody waits for the lock of an entry while holding
// the directory lock, so there is no cycle.
//
// A program that keeps containers past the life of the process that created
// them (a separate create and start) hands the lock's descriptor to the process
// that lives as long as the container does; nothing here has to know.
package state
