// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"sync/atomic"
	"time"
)

// A cached keeps what was made of host files for a while, for all containers.
// Readers that find it too old each make a new one: nobody waits for anybody.
type cached[T any] struct {
	maxAge time.Duration
	now    func() time.Time
	last   atomic.Pointer[dated[T]]
}

// dated is a value and when its making began.
type dated[T any] struct {
	value T
	at    time.Time
}

// get returns a value no older than maxAge that fits, making one if need be.
func (c *cached[T]) get(fits func(T) bool, renew func() (T, error)) (T, error) {
	now := c.now()
	if d := c.last.Load(); d != nil && fits(d.value) {
		if age := now.Sub(d.at); age >= 0 && age <= c.maxAge {
			return d.value, nil
		}
	}
	value, err := renew()
	if err == nil {
		c.last.Store(&dated[T]{value, now})
	}
	return value, err
}

// always is the fits of values that only age.
func always[T any](T) bool { return true }
