// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/apart"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/bundle"
	"github.com/procfs-shim/procfs-shim/runtime/cover"
	"github.com/procfs-shim/procfs-shim/runtime/foreground"
)

// benchViewer gives the container its views, and keeps what the files say.
type benchViewer struct {
	id     string
	client *daemon.Client
	files  []string // that are measured, paths below a tree
	texts  chan<- map[string]string
}

// Views implements foreground.Views.
func (v *benchViewer) Views(ctx context.Context, cg cgroupread.Paths, initPID int) ([]attach.Tree, error) {
	var names []string
	for _, file := range v.files {
		names = append(names, policy.Name(file))
	}
	reg, err := v.client.Register(ctx, daemon.Registration{
		ID: v.id, Container: subject(v.id), Cgroup: cg, InitPID: initPID, Owned: true,
		// What is measured has to be bound, also what usually isn't.
		Choices: policy.Choices{policy.FilesOption: strings.Join(names, ",")},
	})
	if err != nil {
		return nil, err
	}
	texts := make(map[string]string)
	for _, file := range v.files {
		text, err := os.ReadFile(reg.Path(file))
		if err != nil {
			return nil, fmt.Errorf("what %s says: %w", file, err)
		}
		texts[file] = string(text)
	}
	v.texts <- texts
	return cover.OpenTrees(reg.Path, reg.Files)
}

// Close implements foreground.Views.
func (v *benchViewer) Close() error { return v.client.Unregister(context.Background(), v.id) }

// startReader starts the container with a reader that waits for plans. texts are
// what the container's views said before anything was measured, by paths below
// a tree.
func startReader(ctx context.Context, client *daemon.Client, files []string, o bundle.Options) (r *apart.Running, texts map[string]string, err error) {
	said := make(chan map[string]string, 1)
	// On a thread of its own, which ends with it: ours stays in the host's mount
	// namespace, where there is something to remove.
	r, err = apart.Run(func(stdin, stdout *os.File) error {
		status, err := foreground.Run(ctx, foreground.Config{
			// The container's state is with everybody's, so that the next start removes
			// it if this one is killed.
			Options: o, Rootfs: "/", StateDir: defaultStateDir, DataDir: defaultDataDir,
			Mounts: []specs.Mount{
				{Destination: benchKernelTree + "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
				{Destination: benchKernelTree + "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "ro"}},
			},
			StartViews: func(id string) (foreground.Views, error) {
				return &benchViewer{id, client, files, said}, nil
			},
			Stdin: stdin, Stdout: stdout, Stderr: os.Stderr,
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err == nil && status != 0 {
			err = fmt.Errorf("the reader ended with status %d", status)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	select {
	case texts = <-said:
		return r, texts, nil
	case <-r.Ended:
		return nil, nil, r.Close()
	}
}
