// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"log/slog"
	"maps"
	"sync"
)

// failures counts what went wrong for one container, and logs the first of
// each cause: a tenant that makes reads fail all day costs one line.
type failures struct {
	log *slog.Logger // names the container

	mu     sync.Mutex
	counts map[Cause]uint64
}

// count takes note of a failed read; the log line says what the reader was
// given instead.
func (f *failures) count(err error, path, instead string) {
	errno, cause := outcome(err)
	if cause == causeOfTheRequester {
		return
	}
	f.mu.Lock()
	if f.counts == nil {
		f.counts = map[Cause]uint64{}
	}
	f.counts[cause]++
	first := f.counts[cause] == 1
	f.mu.Unlock()
	if first {
		f.log.Warn("a view can't be told; this is logged once per container and cause",
			"file", path, "cause", string(cause), "errno", errno.Error(), "instead", instead, "error", err)
	}
}

// all returns the counts.
func (f *failures) all() map[Cause]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}
