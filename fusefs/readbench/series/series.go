// SPDX-License-Identifier: Apache-2.0

// Package series measures again and again, with ever more containers registered
// and with ever more readers, and watches the server meanwhile:
//
//	for each number of containers    register the missing ones
//	  for each number of readers
//	    for each mode                measure, and watch the server
//	  in the end                     let the server be, and watch it
//
// It is idle last, since a server that was never read is smaller than it will ever
// be again.
//
// All results come into one readbench.Report. What registers, measures and
// watches is given to it.
package series

import (
	"context"
	"fmt"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/footprint"
)

// settle is how long the server is left alone after containers were registered
// and after reads, until it counts as idle.
const settle = time.Second

// Series says what to measure.
type Series struct {
	Modes   []readbench.Mode
	Readers []int // in ascending order, as Containers
	// Containers are how many are registered, the one that is read included.
	Containers []int
	// Idle is how long the server is watched while nobody reads; 0: it is not.
	Idle time.Duration

	// Register registers containers until there are total of them.
	Register func(ctx context.Context, total int) error
	// Measure measures in one mode.
	Measure func(ctx context.Context, mode readbench.Mode, readers int) (readbench.Report, error)
	// Watch reads what the server used so far.
	Watch func() (footprint.Footprint, error)
	// Serves says whether reads of a tree are answered by the server that is
	// watched.
	Serves func(tree string) bool
}

// Run measures all of it. On an error the report has what was measured before.
func (s Series) Run(ctx context.Context) (readbench.Report, error) {
	var all readbench.Report
	for _, containers := range s.Containers {
		if err := s.Register(ctx, containers); err != nil {
			return all, fmt.Errorf("%d containers: %w", containers, err)
		}
		if s.Idle > 0 {
			if err := sleep(ctx, settle); err != nil {
				return all, err
			}
		}
		for _, readers := range s.Readers {
			for _, mode := range s.Modes {
				if err := s.measure(ctx, mode, readers, containers, &all); err != nil {
					return all, err
				}
			}
		}
		if err := s.idle(ctx, containers, &all); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (s Series) idle(ctx context.Context, containers int, all *readbench.Report) error {
	if s.Idle == 0 {
		return nil
	}
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	return s.watch(readbench.Use{Mode: readbench.Idle, Containers: containers}, all, func() (uint64, error) {
		return 0, sleep(ctx, s.Idle)
	})
}

func (s Series) measure(ctx context.Context, mode readbench.Mode, readers, containers int, all *readbench.Report) error {
	return s.watch(readbench.Use{Mode: mode, Readers: readers, Containers: containers}, all, func() (reads uint64, err error) {
		report, err := s.Measure(ctx, mode, readers)
		if err != nil {
			return 0, err
		}
		for _, r := range report.Results {
			r.Containers = containers
			if s.Serves(r.Tree) {
				reads += r.Reads
			}
			all.Results = append(all.Results, r)
		}
		if all.Host.Kernel == "" {
			all.Host, all.QuantileError = report.Host, report.QuantileError
		}
		return reads, nil
	})
}

// watch adds what the server used while do ran.
func (s Series) watch(u readbench.Use, all *readbench.Report, do func() (reads uint64, err error)) error {
	before, err := s.Watch()
	if err != nil {
		return err
	}
	start := time.Now()
	if u.Reads, err = do(); err != nil {
		return err
	}
	u.Wall = time.Since(start).Seconds()
	after, err := s.Watch()
	if err != nil {
		return err
	}
	u.CPU = (after.CPU - before.CPU).Seconds()
	u.RSS, u.Threads, u.Descriptors = after.RSS, after.Threads, after.Descriptors
	all.Server = append(all.Server, u)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
