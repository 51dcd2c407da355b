// SPDX-License-Identifier: Apache-2.0

// Package fusefs serves containers' views of /proc and /sys as files.
//
// # From a read to a text
//
//	kernel → go-fuse → filesystem → Tree → container → source → text
//	          (device)  (nodes)      (whose)  (last good)  (one file)
//
// A [File] is a row of the table of served files (package source, which turns the
// host's numbers and a cgroup's numbers into the text). A view is the directory
// tree that the table describes, with two directories whose other entries are the
// host's (package nodes):
//
//	proc/cpuinfo
//	proc/meminfo
//	…
//	sys/devices/system/cpu/online
//	sys/devices/system/cpu/…
//	sys/devices/system/node/…
//
// There are two trees of views. [Bound] has one directory per registered
// container with a view below it; each file belongs to its container for good,
// whoever reads it. [Shared] is a single view (LXCFS's layout) in which each
// reader sees the container that it is in itself (package locate).
//
// [Static] is a third tree: those of a Bound's files that change only with the set
// of CPUs, once more, and served so that the kernel keeps their text and asks no
// more than whether it still holds (static.go). What follows is about the others,
// unless it says so.
//
// # Adding a file
//
// One row in the table of package source, and one source there. The directory
// listing, the list of files to bind, the documentation's check and the tests all
// read the table.
//
// # Inodes and handles
//
// An inode number says slot and file: slot<<32 | file number. A slot is one
// container (0: the top of the tree) and is never given again; file numbers
// stand in the table, or are computed from what they stand for, and never change
// their meaning. So a number that the kernel remembers means the same to whichever
// process answers, and nothing is counted: a FORGET is a no-op. What stat(2) shows
// is folded to 32 bits (package nodes).
//
// Live files are opened with direct I/O: the kernel keeps none of their text. Their
// size promises nothing (size.go). An open file handle owns the text that its
// reads give, a snapshot: a read at offset 0 renders anew, a read anywhere else
// goes on in the handle's snapshot, so that a pass sees one moment whatever the
// size of its reads. A handle without a snapshot costs this process nothing,
// however many a container holds open; snapshots are bounded per container
// (package snapshot), and past the bound the one read least recently is dropped.
// Reading on in a dropped snapshot is an error (EIO), never another moment's
// text.
//
// A snapshot has an ID, which its reader can ask for by ioctl(2), and remembers
// what it was made from: [Bound.Explain] tells.
//
// # Freshness and failure
//
// A cgroup's files are read at each rendering; the host's are shared between
// containers for at most 10 ms (package hostread). When the cgroup can't be
// read, the last good text is given as long as it is at most 30 s old; then, by
// policy, EIO (the default) or the host's own text: never an empty file, and never
// the host's unless it was asked for. Failures are counted per container and
// logged once per container and cause. What a failed request tells its caller is
// chosen in one function (errno.go).
//
// # Serving
//
// The process that mounts need not be the one that serves: [OpenDevice] gives
// a descriptor of /dev/fuse, [MountDevice] makes a mount of it, [Serve] answers
// it, in any order and in any process that has the descriptor.
//
// A request is answered by the goroutine that read it. No lock is held while a
// file is read, nothing here touches a path below a mount that it serves,
// nothing is pushed into the kernel's caches (a serving thread that does can wait
// for itself: the kernel drops a static file's pages by what GETATTR says), and the
// only descriptors opened
// while serving are those of cgroups, of readers' /proc directories, and of files
// in the host's two directories. A reader's signal (FUSE INTERRUPT) doesn't cut an
// answer short: procfs's reads aren't interruptible either, an EINTR would
// surprise programs, and a rendering takes microseconds. Only the first look at a
// container's tasks (package load) can take milliseconds.
//
// # Locks
//
// Each guards fields and is held for a few instructions; none is taken while
// another is held, except Bound.mu and Shared.mu, under which a container's
// reference count changes (an atomic):
//
//	Bound.mu, Shared.mu   which containers there are
//	snapshot.Table's      which handle holds which snapshot
//	container.mu          the last good texts, the versions of static files
//	failures.mu           counts, and what was logged
//
// A container's CPU times have a lock of their own (package source), under which
// they are written to a file of a tmpfs, where there is a directory for that
// ([Histories]).
package fusefs
