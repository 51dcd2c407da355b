// SPDX-License-Identifier: Apache-2.0

// Package cputime turns what a cgroup's counters say about CPU time into the
// columns of /proc/stat that its container is shown: for each visible CPU the
// time it was busy for the container (user, system), the time that a quota
// refused (steal), and the rest (idle).
//
// It is pure. A [Sample] is what was read at one moment, a [History] what has to
// be remembered of a container from one read to the next, [History.Advance] the
// step between them. All times are [time.Duration], in whole nanoseconds; ticks
// exist only where the text is written. Package history, below, keeps histories
// over a restart of the server.
//
// # The kernel's counters know no CPUs, no idle time and no quota
//
// They say what the container's tasks ran for since the cgroup was made
// (limits.CPUTime). What they don't say is computed for the interval since the
// last sample, in this order:
//
//	wall   the interval. The first one begins with the container's init.
//	busy   what the usage grew by, with what is owed from before. On v1 each CPU
//	       gets its own; the rest (v2 tells no CPUs; CPUs that aren't shown) is
//	       dealt out evenly. No CPU gets more than wall.
//	steal  what the time refused grew by, at the level with the tightest quota,
//	       dealt out evenly to what is left.
//	idle   what is left then.
//
// So the columns of a CPU grow by exactly wall, and none ever falls. The column
// of a CPU that is hidden freezes; one that comes back goes on from there.
//
// User and system time share what is busy as the counters do. On v1 these are
// counted in ticks and only their ratio is used, in the way in which the kernel
// itself corrects a process's (cputime_adjust, kernel/sched/cputime.c).
//
// # What is owed
//
// Usage can grow by more than wall × visible: a quota of one CPU on 64 of them is
// used up in 1/64 of its period. What doesn't fit is owed, and shown later. The
// kernel allows three quotas in a moment (what was saved for a burst, one at the
// end of a period, one at the beginning of the next), its longest period is 1 s,
// and on a CPU without ticks (nohz_full) the counters lag by up to 1 s. Owed is
// therefore at most 4 s for each visible CPU. More comes from a visible set that
// was larger while nobody read, or from real-time tasks, which no quota binds:
// that is dropped, or the container would be shown 100 % busy for hours.
//
// # What a quota refused
//
// The kernel adds it up over CPUs: of 64 threads on 64 CPUs that have used up a
// quota of 2 CPUs it refuses up to 64 s in a second, of which two CPUs were shown.
// Taken over a longer interval, that would turn all its idle time into steal for
// one busy moment. But a period in which the container's own quota refused
// anything used it up. So the usage says how many such periods there can have
// been, and each had period × visible − quota for steal: none, if the quota is a
// whole number of CPUs. In a container that fills some periods and not others, a
// reader with a long interval still sees too much of it: at most that rest for
// each quota used. Nothing like it is known of an ancestor's quota, which other
// children use too; there only what would else be idle bounds it.
//
// In the other direction, a container that has to wait for CPUs that others use is
// refused less: a loop with a fifth of a CPU, on a machine with a busy neighbour,
// used 20 %, was refused 58 % and waited for 22 % (Linux 6.18; cpu.stat and
// /proc/PID/schedstat); with ten times the weight 80 % were refused. So a
// container that was refused something and used all its quota over at least 16
// periods is shown no idle time: what the usage allows is all steal then.
//
// What is refused is counted when the refusal ends, so that a reader with a short
// interval sees nothing while it lasts and then more than fits. It is owed too, at
// most what a period has for steal (of an ancestor's: a period for each visible
// CPU). When the load stops, that much of idle time is still shown as steal.
//
// # What changed while nobody read
//
// When the visible set changed within an interval, nobody knows when. The change
// is dated to the sample that sees it: the interval belongs to the CPUs visible
// before. CPUs that are new get of it only the usage for which those had no room.
// The error is in idle and steal alone: at most the interval for each CPU that
// came or went. A set that changed and changed back unseen is no change.
//
// The first sample shows the time since init as if today's visible set had always
// been. Usage for which it has no room is older than init, or of a larger set: it
// is dropped and never owed. Of the time refused only the container's own level
// counts then; an ancestor's may be years older.
//
// A quota's counter is followed from the first sample with that quota on. A usage
// that falls (somebody wrote to v1's cpuacct.usage, or the cgroup was made anew)
// is a new beginning: the columns stay, and grow with what is used from there.
//
// # Concurrency
//
// A History is a plain value: whoever holds one locks it for each call.
package cputime
