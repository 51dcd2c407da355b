// SPDX-License-Identifier: Apache-2.0

// Package load turns the tasks of a container into what its /proc/loadavg says:
// load averages, runnable and all tasks, the largest PID; and the blocked tasks
// of its /proc/stat.
//
//	engine, err := load.New(load.Config{Proc: "/proc", Now: time.Now})
//	c := engine.Watch(tasks, init, started) // costs nothing until it is read
//	sample, err := c.Read()                 // at most 5.5 s old
//	c.Forget()
//
// # Words
//
// A task is a thread, known by its TID. A pass looks at the tasks of one
// container and gives a [Sample]; everything that one Read returns is from one
// sample. The load is the number of tasks in state R or D, of the container's
// cgroup and all cgroups below. It is averaged exactly as the kernel does it
// (kernel/sched/loadavg.c): a step each 5 s, in units of 1/2048.
//
// # Who is sampled
//
// Containers that were read within the last 5 minutes, one after the other, each
// 5 s, by one goroutine that only exists while it works: a timer starts it, and
// there is no timer while nobody reads. Whoever finds no sample, or one older
// than 5.5 s, has a pass made at once; those who come meanwhile wait for its
// result.
//
// Nobody counted while nobody read. The averages then go on as if the tasks that
// are seen now had been there all the time since the last sample; before the
// first one, since the container's start. So the first `uptime` in a container
// that has been busy for an hour says so, instead of 0.00; in one that was just
// started the averages rise from 0, like the kernel's after boot; and no guess
// is nearer in the mean than the load of now. The price is that one burst that
// meets the first read is taken for the load of the whole gap.
//
// # What counts
//
// The kernel counts a task that runs or could run (R, also while its quota makes
// it wait), and one that sleeps uninterruptibly (D), unless it idles (TASK_IDLE,
// shown as I) or is frozen. v2's freezer leaves tasks interruptible (S), but a
// task that v1's freezer holds is shown as D (fs/proc/array.c says that it lies
// there). So what is in D is asked for its freezer cgroup, where there is such a
// hierarchy, and not counted unless that is THAWED: else a paused container
// would come back with a load of all its tasks. A process that waits for the
// child of its vfork(2) is in D and counts, here as in the kernel's own file.
//
// # What a pass costs
//
// The state comes from /proc/TID/status. stat has it too and its text is
// shorter, but there the kernel adds up the times of all threads of the process:
// with 5000 threads a read took 270 µs, one of status 12 µs, whatever their
// number (Linux 6.18). status also has the PID that the container knows.
//
// Tasks are looked at for at most 5 ms, less where many containers are read, and
// at most 1024 of them, but always at 32. To list them comes on top, 0.4 µs for
// each TID on v2, 0.6 on v1: nothing for most containers, 13 ms for one of 20,000
// threads. So a pass that a reader waits for asks for at most 32,768 TIDs (v1's
// kernel makes the whole list all the same), the goroutine's for 131,072. A
// container's tasks beyond these aren't counted until the next pass, or at all.
//
// 500 containers of 5 tasks take 33 ms each 5 s if somebody reads all of them,
// and nothing at all if nobody does.
//
// # The error
//
// If n of N tasks are looked at, their counts are scaled by N/n. Which n: evenly
// spread over the list, and others in the next pass. With a share p of N in
// state R or D the load of one sample has a standard error of about
//
//	N·√(p·(1−p)/n · (1−n/N))
//
// and the averages, which weigh 24, 120 and 360 samples as one, about √24, √120
// and √360 times less. 400 of 100,000 tasks, of which 2000 run: 2000 ± 700, and
// the 1-minute average ± 150. [Sample] says what N and n were.
//
// # Locks
//
// Engine.mu (which containers are sampled) before Container.mu (averages, last
// sample). Neither is held across I/O, nor while a pass is waited for.
package load
