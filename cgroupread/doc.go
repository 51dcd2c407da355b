// SPDX-License-Identifier: Apache-2.0

// Package cgroupread turns cgroup v1, hybrid and v2 files into typed limits and
// usage (package limits). It only reads.
//
// # From a host to numbers
//
//	layout, err := cgroupread.Detect("/proc")        // where the hierarchies are mounted
//	paths, err := layout.OfProcess("/proc", pid)     // which cgroup a process is in
//	cg, err := layout.Open(paths)                    // a handle that notices deletion
//	chain, err := cg.Memory()                        // limits and usage of each level
//
// All that can be read is a method of [Reader], which notes the texts in a
// [Record] if it was given one: what a number was made from can be told later.
//
//	var record cgroupread.Record
//	err := cg.Reader(&record).CPUTime(&time)
//	record.Each(func(path string, text []byte) { … })
//
// Package branch opens and reads the files, package cgroupfile parses them; what
// is here is where they are, and which of them say what.
//
// # Words
//
// A hierarchy is one tree of cgroups: v2 has one for everything, v1 one per
// controller or group of controllers ("cpu,cpuacct"), each mounted on its own,
// besides named ones without a controller ("name=systemd"). Hybrid is v1 with a
// cgroup2 mounted beside it that has what controllers v1 left.
//
// A cgroup path is what /proc/PID/cgroup says: "/docker/abc", relative to the
// root of the reading process's cgroup namespace; "/../x" is outside of that
// namespace. One container has one path on v2 and one for each hierarchy on v1:
// [Paths].
//
// A mount may begin below its hierarchy's root: inside a container without a
// cgroup namespace mountinfo says that /sys/fs/cgroup/memory shows /docker/abc.
// Paths are translated. With a cgroup namespace the mount's root reads "/" but
// still is a cgroup with limits; [Detect] tells it from a real root by the files
// that only roots have or lack, and counts it as a level.
//
// # Levels
//
//	real root            in no chain: it limits nothing
//	└─ kubepods          level 2
//	   └─ pod1           level 1
//	      └─ abc         level 0: the container's
//
// # Missing files and gone cgroups
//
// A missing interface file is no limit, a usage of 0, or the nearest ancestor's
// effective cpuset: controllers needn't be on in every cgroup, and files came
// with kernel versions. A missing key is 0. Where a controller isn't there at
// all, its chain is empty. A cgroup that was deleted gives [ErrGone], also
// if another one was made under the same name since: a handle knows its
// directories by inode number.
//
// # Concurrency
//
// A [Layout] never changes, but for the files that it keeps open ([Descriptors]),
// and may be shared. A [Cgroup]'s methods may run at the same time, Close
// included: a read that had begun ends well.
package cgroupread
