// SPDX-License-Identifier: Apache-2.0

// Package plot turns a readbench.Report into a page of drawings, one SVG file:
//
//	latency     for each mode, file and tree: how many reads took how long, and
//	            the quantiles; on a logarithmic axis that the whole page shares
//	throughput  reads per second against readers, one drawing for each file
//	containers  memory of the server, and the time of a read, against how many
//	            containers are registered
//
// A drawing that would be a single point is left out. Colours stand for trees,
// and are the same on the whole page.
package plot
