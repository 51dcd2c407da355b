// SPDX-License-Identifier: Apache-2.0

package view

import "math"

// split parts value over nodes in proportion to weights and puts the parts into
// the slice it returns, which is into; their sum is value. room is what each node
// has left for it, from which its part is taken: no part exceeds it unless all
// rooms together are too small. What rounding leaves goes to the last nodes with
// room. Weights that are all 0 are those of room.
//
// value and room are multiples of unit, and so are the parts.
func split(into []uint64, value, unit uint64, weights, room []uint64) []uint64 {
	sum := add(weights...)
	if sum == 0 {
		weights = room
		sum = max(add(room...), 1)
	}
	rest := value
	for k, weight := range weights {
		into[k] = min(floor(mulDiv(value, weight, sum), unit), room[k], rest)
		room[k] -= into[k]
		rest -= into[k]
	}
	for k := len(into) - 1; k >= 0 && rest > 0; k-- {
		more := min(rest, room[k])
		into[k] += more
		room[k] -= more
		rest -= more
	}
	into[len(into)-1] += rest
	return into
}

// An arena holds slices of one number for each node.
type arena struct {
	all, spare []uint64
	nodes      int
}

// reset takes all slices back.
func (a *arena) reset(nodes int) {
	const slices = 64 // some more than a view takes
	if len(a.all) < slices*nodes {
		a.all = make([]uint64, slices*nodes)
	}
	a.spare, a.nodes = a.all, nodes
}

// take returns a slice of zeros.
func (a *arena) take() []uint64 {
	if len(a.spare) < a.nodes {
		return make([]uint64, a.nodes)
	}
	taken := a.spare[:a.nodes:a.nodes]
	a.spare = a.spare[a.nodes:]
	clear(taken)
	return taken
}

// copied returns a copy of from.
func (a *arena) copied(from []uint64) []uint64 {
	c := a.take()
	copy(c, from)
	return c
}

// endless returns room for any value.
func (a *arena) endless() []uint64 {
	room := a.take()
	for k := range room {
		room[k] = math.MaxUint64 - math.MaxUint64%kB
	}
	return room
}
