// SPDX-License-Identifier: Apache-2.0

package cgroup

func ptr[T any](v T) *T { return &v }
