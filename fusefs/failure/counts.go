// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"log/slog"
	"maps"
	"sync"
)

// Counts counts what went wrong for one container, and logs the first of
// each cause: a tenant that makes reads fail all day costs one line.
type Counts struct {
	Log *slog.Logger // names the container

	mu     sync.Mutex
	counts map[Cause]uint64
}

// Count takes note of a failed read; the log line says what the reader was
// given instead.
func (f *Counts) Count(err error, path, instead string) {
	errno, cause := Of(err)
	if cause == TheRequester {
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
		f.Log.Warn("a view can't be told; this is logged once per container and cause",
			"file", path, "cause", string(cause), "errno", errno.Error(), "instead", instead, "error", err)
	}
}

// All returns the counts.
func (f *Counts) All() map[Cause]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}
