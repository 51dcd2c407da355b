// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
	"github.com/procfs-shim/procfs-shim/runtime/bundle"
	"github.com/procfs-shim/procfs-shim/runtime/foreground"
)

const (
	benchReaderCommand = "bench-reader"
	maxBenchReaders    = 256
	lxcfsMountpoint    = "/var/lib/lxcfs"

	// Trees other than the container's own files are mounted below benchRoot in
	// the container, the kernel's files among them.
	benchRoot       = "/run/procfs-shim-bench"
	benchKernelTree = benchRoot + "/kernel"
	benchSelf       = benchRoot + "/self"

	boundTree  = "procfs-shim"
	sharedTree = "procfs-shim-shared"

	benchMemory   = "256m"
	benchMemoryKB = 256 << 10
	// serverStart is how long the server may take until it answers.
	serverStart = 10 * time.Second
)

// benchmark is one measurement.
type benchmark struct {
	files    []string // paths below a tree
	modes    []readbench.Mode
	readers  int
	duration time.Duration
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
	return name == readbench.KernelTree || name == boundTree || name == sharedTree || strings.Contains(name, "/")
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

// run starts a server and a limited container, measures there, and removes
// both.
func (b *benchmark) run(ctx context.Context) (report readbench.Report, err error) {
	// The server's parent-death signal is that of the thread it is started on.
	goruntime.LockOSThread()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return report, err
	}
	host, err := bundle.ReadHost("/proc", "/sys", layout)
	if err != nil {
		return report, err
	}
	b.hostCPUs = host.OnlineCPUs
	stateDir, err := os.MkdirTemp("/run", "procfs-shim-bench-")
	if err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stateDir)) }()
	self, err := os.Executable()
	if err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	stop, err := startServer(ctx, self, stateDir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	options := b.container()
	shared := filepath.Join(stateDir, "shared")
	options.Volumes = append(options.Volumes, self+":"+benchSelf+":ro", shared+":"+filepath.Join(benchRoot, sharedTree)+":ro")
	options.Args = []string{benchSelf, benchReaderCommand}
	plan, err := json.Marshal(b.plan())
	if err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	report, err = inContainer(ctx, stateDir, options, plan, b.progress)
	if err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	return report, nil
}

// container is what the files are read in. A single reader keeps within a
// quota that hides one of the host's CPUs; with more of them the quota would
// be what is measured.
func (b *benchmark) container() bundle.Options {
	o := bundle.Options{Memory: benchMemory, Network: "none"}
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
	if b.readers > 1 {
		return b.hostCPUs
	}
	return b.hostCPUs.First(max(1, b.hostCPUs.Len()-1))
}

// plan has a row for each file of each tree that has it.
func (b *benchmark) plan() apart.Plan {
	p := apart.Plan{Modes: b.modes, Readers: b.readers, Duration: b.duration, Proc: benchKernelTree + "/proc"}
	for _, file := range b.files {
		rows := []apart.Row{
			{Tree: readbench.KernelTree, Path: filepath.Join(benchKernelTree, file)},
			{Tree: boundTree, Path: "/" + file},
			{Tree: sharedTree, Path: filepath.Join(benchRoot, sharedTree, file)},
		}
		for _, name := range b.names {
			if _, err := os.Stat(filepath.Join(b.trees[name], file)); err == nil {
				rows = append(rows, apart.Row{Tree: name, Path: filepath.Join(benchRoot, name, file)})
			}
		}
		for _, r := range rows {
			r.File = strings.TrimPrefix(strings.TrimPrefix(file, "proc/"), "sys/devices/system/")
			expect(&r, b.visibleCPUs())
			p.Rows = append(p.Rows, r)
		}
	}
	return p
}

// expect says what the container's views must show. What the kernel's own file
// and other people's trees say is theirs; they need only say something.
func expect(r *apart.Row, cpus cpulist.Set) {
	if r.Tree != boundTree && r.Tree != sharedTree {
		return
	}
	switch r.File {
	case "meminfo":
		r.Key, r.Value = "MemTotal:", strconv.Itoa(benchMemoryKB)+" kB"
	case "cpuinfo":
		r.Prefix, r.Lines = "processor\t", cpus.Len()
	case "cpu/online":
		r.Text = cpus.String() + "\n"
	}
}

// inContainer runs the reader, hands it the plan and follows it to its report.
func inContainer(ctx context.Context, stateDir string, o bundle.Options, plan []byte, progress func(readbench.Progress)) (report readbench.Report, err error) {
	planRead, planWrite, err := os.Pipe()
	if err != nil {
		return report, err
	}
	defer planRead.Close()
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return report, err
	}
	defer outRead.Close()
	go func() {
		// A reader that ends early is told by its exit status.
		_, _ = planWrite.Write(plan)
		_ = planWrite.Close()
	}()
	var followed error
	following := make(chan struct{})
	go func() {
		defer close(following)
		report, followed = apart.Follow(outRead, progress)
		_, _ = io.Copy(io.Discard, outRead) // so that it never blocks
	}()
	status, err := runApart(ctx, foreground.Config{
		// The container's state is with everybody's, so that the next start removes
		// it if this one is killed.
		Options: o, Rootfs: "/", StateDir: defaultStateDir, DataDir: defaultDataDir,
		Mounts: []specs.Mount{
			{Destination: benchKernelTree + "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
			{Destination: benchKernelTree + "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "ro"}},
		},
		StartViews: func(id string) (foreground.Views, error) { return newViewer(id, stateDir, policy.Rules{}, nil) },
		Stdin:      planRead, Stdout: outWrite, Stderr: os.Stderr,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	_ = outWrite.Close()
	<-following
	switch {
	case err != nil:
		return report, err
	case status != 0:
		return report, fmt.Errorf("the reader ended with status %d", status)
	}
	return report, followed
}

// writeProgress overwrites one line of a terminal again and again.
func writeProgress(terminal io.Writer) func(readbench.Progress) {
	return func(p readbench.Progress) {
		fmt.Fprintf(terminal, "\r%-4s %4.0f %%  %v of %v ", p.Mode, 100*p.Done.Seconds()/p.Total.Seconds(),
			p.Done.Truncate(time.Second), p.Total)
		if p.Done >= p.Total {
			fmt.Fprint(terminal, "\r\033[K")
		}
	}
}

// runApart is foreground.Run on a thread of its own, which ends with it: ours
// stays in the host's mount namespace, where there is something to remove.
func runApart(ctx context.Context, c foreground.Config) (status int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		status, err = foreground.Run(ctx, c)
	}()
	<-done
	return status, err
}

// startServer starts `serve` as a process of its own, since nobody should read
// a mount in the process that serves it, and waits until it answers.
func startServer(ctx context.Context, self, stateDir string) (stop func() error, err error) {
	cmd := exec.Command(self, "serve", "--config", os.DevNull, "--log-level", "error", "--state-dir", stateDir, filepath.Join(stateDir, "shared"))
	cmd.Stderr = os.Stderr
	// It ends with us, and takes its mounts with it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() error {
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop the server: %w", err)
		}
		return <-ended
	}
	ctx, cancel := context.WithTimeout(ctx, serverStart)
	defer cancel()
	for {
		client, err := daemon.Dial(stateDir)
		if err == nil {
			return stop, client.Close()
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("start the server: it ended: %w", err)
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("start the server: %w: %w", err, context.Cause(ctx)), stop())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
