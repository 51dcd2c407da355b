// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/footprint"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/process"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/series"
	"github.com/procfs-shim/procfs-shim/runtime/bundle"
	"github.com/procfs-shim/procfs-shim/runtime/crowd"
)

const (
	benchReaderCommand = "bench-reader"
	benchNullCommand   = "bench-null"
	maxBenchContainers = 20000
	lxcfsMountpoint    = "/var/lib/lxcfs"

	// Trees other than the container's own files are mounted below benchRoot in
	// the container, the kernel's files among them.
	benchRoot       = "/run/procfs-shim-bench"
	benchKernelTree = benchRoot + "/kernel"
	benchSelf       = benchRoot + "/self"

	boundTree  = "procfs-shim"
	sharedTree = "procfs-shim-shared"

	benchMemory = 256 << 20
	// crowdEnd is how long thousands of cgroups may take to be removed.
	crowdEnd = 5 * time.Minute
	// benchIdle is how long an idle server is watched: two of its rounds of
	// housekeeping.
	benchIdle = 2 * daemon.JanitorInterval
)

// benchmark is one measurement.
type benchmark struct {
	files      []string // paths below a tree
	modes      []readbench.Mode
	readers    []int
	containers []int
	duration   time.Duration // of one mode with one number of readers
	// trees are those named by --against, in the order of names.
	trees    map[string]string
	names    []string
	hostCPUs cpulist.Set              // those online
	progress func(readbench.Progress) // nil for none
}

func (b *benchmark) add(name, dir string) {
	if _, again := b.trees[name]; !again {
		b.names = append(b.names, name)
	}
	b.trees[name] = dir
}

func reservedTree(name string) bool {
	return slices.Contains([]string{readbench.KernelTree, readbench.NullTree, boundTree, sharedTree}, name) || strings.Contains(name, "/")
}

// isLXCFS tells whether an LXCFS is mounted at path.
func isLXCFS(table, path string) bool {
	f, err := os.Open(table)
	if err != nil {
		return false
	}
	defer f.Close()
	found, err := mountinfo.GetMountsFromReader(f, mountinfo.SingleEntryFilter(path))
	return err == nil && len(found) == 1 && found[0].FSType == "fuse.lxcfs"
}

// run starts the servers and a limited container, measures there, and removes
// all of it.
func (b *benchmark) run(ctx context.Context) (report readbench.Report, err error) {
	// The server's parent-death signal is that of the thread it is started on.
	goruntime.LockOSThread()
	defer func() {
		if err != nil {
			err = fmt.Errorf("bench: %w", err)
		}
	}()
	undo := func(f func() error) { err = errors.Join(err, f()) }
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return report, err
	}
	host, err := bundle.ReadHost("/proc", "/sys", layout)
	if err != nil {
		return report, err
	}
	b.hostCPUs = host.OnlineCPUs
	self, err := os.Executable()
	if err != nil {
		return report, err
	}
	stateDir, err := os.MkdirTemp("/run", "procfs-shim-bench-")
	if err != nil {
		return report, err
	}
	defer undo(func() error { return os.RemoveAll(stateDir) })
	server, client, err := startServer(ctx, self, stateDir)
	if err != nil {
		return report, err
	}
	defer undo(server.Stop)
	defer undo(client.Close)
	null, nullDir, err := startNull(self, stateDir)
	if err != nil {
		return report, err
	}
	defer undo(null.Close)
	others, err := crowd.New(ctx, layout, os.Getpid())
	if err != nil {
		return report, err
	}
	defer undo(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), crowdEnd)
		defer cancel()
		return others.Remove(ctx)
	})

	options := b.container()
	options.Volumes = append(options.Volumes, self+":"+benchSelf+":ro",
		filepath.Join(stateDir, "shared")+":"+filepath.Join(benchRoot, sharedTree)+":ro",
		nullDir+":"+filepath.Join(benchRoot, readbench.NullTree)+":ro")
	options.Args = []string{benchSelf, benchReaderCommand}
	reader, texts, err := startReader(ctx, client, b.files, options)
	if err != nil {
		return report, err
	}
	defer undo(reader.Close)
	if err := null.Set(texts); err != nil {
		return report, err
	}

	s := series.Series{
		Modes: b.modes, Readers: b.readers, Containers: b.containers,
		Register: func(ctx context.Context, total int) error { return register(ctx, client, others, total-1) },
		Measure: func(_ context.Context, mode readbench.Mode, readers int) (readbench.Report, error) {
			plan := b.plan(texts)
			plan.Modes, plan.Readers = []readbench.Mode{mode}, readers
			return reader.Measure(plan, b.progress)
		},
		Watch:  func() (footprint.Footprint, error) { return footprint.Read("/proc", server.PID()) },
		Serves: func(tree string) bool { return tree == boundTree || tree == sharedTree },
	}
	if slices.Max(b.containers) > 1 {
		s.Idle = benchIdle
	}
	return s.Run(ctx)
}

// startServer starts the server that is measured.
func startServer(ctx context.Context, self, stateDir string) (s *process.Server, client *daemon.Client, err error) {
	cmd := exec.Command(self, "serve", "--config", os.DevNull, "--log-level", "error", "--state-dir", stateDir, filepath.Join(stateDir, "shared"))
	cmd.Stderr = os.Stderr
	s, err = process.Start(ctx, cmd, func() (err error) {
		client, err = daemon.Dial(stateDir)
		return err
	})
	return s, client, err
}

// register has the server know n containers beside the one that is read. All
// have the same init process, this one.
func register(ctx context.Context, client *daemon.Client, others *crowd.Crowd, n int) error {
	return others.Grow(n, func(name string, paths cgroupread.Paths) error {
		id := "bench-" + name
		_, err := client.Register(ctx, daemon.Registration{ID: id, Container: subject(id), Cgroup: paths, InitPID: os.Getpid()})
		return err
	})
}

// container is what the files are read in. A single reader keeps within a
// quota that hides one of the host's CPUs; with more of them the quota would
// be what is measured.
func (b *benchmark) container() bundle.Options {
	o := bundle.Options{Memory: strconv.Itoa(benchMemory), Network: "none"}
	if n := b.visibleCPUs().Len(); n < b.hostCPUs.Len() {
		o.CPUs = strconv.Itoa(n)
	}
	for _, name := range b.names {
		o.Volumes = append(o.Volumes, b.trees[name]+":"+filepath.Join(benchRoot, name)+":ro")
	}
	return o
}

// visibleCPUs are those that the container is shown.
func (b *benchmark) visibleCPUs() cpulist.Set {
	if slices.Max(b.readers) > 1 {
		return b.hostCPUs
	}
	return b.hostCPUs.First(max(1, b.hostCPUs.Len()-1))
}

// plan has a row for each file of each tree that has it; texts are those of
// the null server.
func (b *benchmark) plan(texts map[string]string) apart.Plan {
	cpus := b.visibleCPUs()
	view := &apart.View{Memory: benchMemory, CPUs: cpus.Len(), Online: cpus.String()}
	trees := []apart.Tree{
		{Name: readbench.KernelTree, Dir: benchKernelTree},
		{Name: readbench.NullTree, Dir: filepath.Join(benchRoot, readbench.NullTree), Texts: texts},
		{Name: boundTree, Dir: "/", View: view},
		{Name: sharedTree, Dir: filepath.Join(benchRoot, sharedTree), View: view},
	}
	for _, name := range b.names {
		trees = append(trees, apart.Tree{Name: name, Dir: filepath.Join(benchRoot, name), Source: b.trees[name]})
	}
	return apart.Plan{
		Rows: apart.Rows(b.files, policy.Name, trees, exists), Duration: b.duration, Proc: benchKernelTree + "/proc",
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
