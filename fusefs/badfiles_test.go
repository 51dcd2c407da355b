// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
)

// ills are what can be wrong with a file that texts are made from; "" for one that
// isn't there.
func ills() map[string]func(text string) string {
	number := regexp.MustCompile(`\b[0-9]+\b`)
	return map[string]func(string) string{
		"missing":           nil,
		"empty":             func(string) string { return "" },
		"truncated":         func(text string) string { return text[:len(text)*2/3] },
		"without newline":   func(text string) string { return strings.TrimSuffix(text, "\n") },
		"unknown keys":      func(text string) string { return "new_key 5\n" + text + "another: 7 kB\n" },
		"2^64−1":            func(text string) string { return number.ReplaceAllString(text, "18446744073709551615") },
		"more than 64 bits": func(text string) string { return number.ReplaceAllString(text, "99999999999999999999999") },
		"negative":          func(text string) string { return number.ReplaceAllString(text, "-$0") },
		"nonsense":          func(string) string { return "\x00\xff nonsense %s\n\n\n" },
		"long":              func(text string) string { return text + strings.Repeat("x", 1<<17) },
	}
}

// mayBeEmpty are files that can have nothing to say.
func mayBeEmpty(path string) bool {
	return slices.Contains([]string{"proc/diskstats", "sys/devices/system/cpu/offline"}, path)
}

// renew registers the container anew: one that was never read has no last good
// text. What was read of the host is forgotten, too.
func (r *rig) renew() {
	r.t.Helper()
	r.bound.Remove("c")
	r.clock.add(time.Second)
	r.add("c")
}

// passedOn says that a view is the host's file itself, as it is: one of a
// directory of the host's.
func passedOn(path, name string) bool { return path == name && strings.HasPrefix(name, "sys/") }

// eachLayout runs a test over a captured host of each version of cgroups.
func eachLayout(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, name := range []string{"debian12-hybrid", "debian12-v2-arm64"} {
		t.Run(name, func(t *testing.T) { test(t, newRig(t, name)) })
	}
}

// inputs are the files that are there of those that the views are made from, each
// with the views that are made from it; names are as in the captured host.
func (r *rig) inputs() map[string][]string {
	r.t.Helper()
	all := map[string][]string{}
	for _, f := range append(r.files(), r.nodeFiles()...) {
		e, err := r.bound.Explain("c", f.Path, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, in := range e.Inputs {
			if in.Text != nil {
				name := strings.TrimPrefix(in.Path, r.host.Root+"/")
				all[name] = append(all[name], f.Path)
			}
		}
	}
	return all
}

// nodeFiles are the files of a node, which every host has.
func (r *rig) nodeFiles() []File {
	var all []File
	for _, name := range []string{"meminfo", "cpulist", "cpumap", "numastat"} {
		all = append(all, File{Path: "sys/devices/system/node/node0/" + name})
	}
	return all
}

// ail gives a file an ill, and returns what cures it.
func (r *rig) ail(name string, ill func(string) string) (cure func()) {
	r.t.Helper()
	well := r.host.Read(name)
	if ill == nil {
		// Not removed: the host's are held open, and a new one would be another.
		aside := r.host.Path(name) + ".aside"
		if err := os.Rename(r.host.Path(name), aside); err != nil {
			r.t.Fatal(err)
		}
		return func() {
			if err := os.Rename(aside, r.host.Path(name)); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.host.Write(name, ill(well))
	return func() { r.host.Write(name, well) }
}

// TestIllFiles has each file that views are made from with each ill, before the
// first reading and after a good one. The reader gets a text or EIO, never an empty
// one, and no other container's or the host's; what it can't be told is counted
// and logged with the file's name.
func TestIllFiles(t *testing.T) {
	eachLayout(t, func(t *testing.T, r *rig) {
		inputs := r.inputs()
		if len(inputs) < 15 {
			t.Fatalf("the views are made from no more than %v", slices.Sorted(maps.Keys(inputs)))
		}
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			for ail, ill := range ills() {
				for _, path := range inputs[name] {
					if !passedOn(path, name) {
						r.tryIll(name, ail, ill, path)
					}
				}
			}
		}
	})
}

func (r *rig) tryIll(name, ail string, ill func(string) string, path string) {
	t := r.t
	t.Helper()
	r.renew()
	good := r.read("c/" + path)
	r.renew()
	cure := r.ail(name, ill)
	at := path + " made from " + name + ", " + ail
	if _, st := r.lookup("c/" + path); !st.Ok() {
		// Whether the container has the node can't be told, or the host says that it
		// has none itself.
		const nodes = "sys/devices/system/node/"
		none := name == path || name == nodes+"online"
		if !strings.HasPrefix(path, nodes) || st != fuse.EIO && !(st == fuse.ENOENT && none) {
			t.Errorf("%s: lookup: %v", at, st)
		}
		cure()
		return
	}
	h := r.open("c/" + path)
	text, err := h.pread(maxRead, 0)
	if err == nil && text == "" && !mayBeEmpty(path) {
		t.Errorf("%s: an empty text", at)
	}
	if err == nil && strings.HasPrefix(name, "sys/fs/cgroup") {
		r.notTheHosts(at, path, text, good)
	}
	counts := r.bound.Errors("c")
	if counts[failure.CauseInternal] > 0 || err != nil && (len(counts) != 1 || !strings.Contains(err.Error(), "input/output error")) {
		t.Errorf("%s: %v, counted %v", at, err, counts)
	}
	if err != nil {
		log := r.log.lines()
		if last := log[len(log)-1]; !strings.Contains(last, name) {
			t.Errorf("%s: the log doesn't name the file: %s", at, last)
		}
	}
	cure()
	r.clock.add(time.Second) // the host's files are kept for 10 ms
	if again := h.pass(maxRead, 0); again == "" && good != "" {
		t.Errorf("%s: after the cure it is empty", at)
	}

	// With a good text before, that is shown for some time.
	if err == nil {
		h.close()
		return
	}
	r.renew()
	good = h.r.read("c/" + path)
	cure = r.ail(name, ill)
	r.clock.add(time.Second)
	if got, err := h.r.open("c/"+path).pread(maxRead, 0); err != nil || got != good {
		t.Errorf("%s: not the last good text but %v:\n%s", at, err, got)
	}
	r.clock.add(texts.LastGoodMaxAge)
	if got, err := h.r.open("c/"+path).pread(maxRead, 0); err == nil {
		t.Errorf("%s: later than the last good text may be shown:\n%s", at, got)
	}
	cure()
}

// notTheHosts checks that no field of a meminfo or CPU list comes from the host
// because the cgroup's file is ill: one that has changed is 0 or has a number that
// isn't the host's, but for a limit that the file had.
func (r *rig) notTheHosts(at, path, text, good string) {
	r.t.Helper()
	if path != "proc/meminfo" {
		return
	}
	host := r.host.Read(path)
	for line := range strings.Lines(good) {
		name, _, _ := strings.Cut(line, ":")
		now, theirs := field(r.t, text, name), field(r.t, host, name)
		limit := strings.HasSuffix(name, "Total") || strings.HasPrefix(name, "HugePages") || name == "CommitLimit" || name == "Hugetlb"
		left := name == "MemFree" || name == "MemAvailable" || name == "SwapFree"
		if now != field(r.t, good, name) && now == theirs && theirs != "0" && !limit && !left {
			r.t.Errorf("%s: %s is the host's %s kB", at, name, now)
		}
	}
}

// TestMissingKeys takes away each line of each cgroup file with keys: the rest
// stands, and nothing becomes the host's.
func TestMissingKeys(t *testing.T) {
	eachLayout(t, func(t *testing.T, r *rig) {
		keyed := 0
		for name, paths := range r.inputs() {
			if !strings.HasPrefix(name, "sys/fs/cgroup") || !strings.HasSuffix(name, ".stat") {
				continue
			}
			for line := range strings.Lines(r.host.Read(name)) {
				keyed++
				for _, path := range paths {
					r.renew()
					good := r.read("c/" + path)
					r.renew()
					cure := r.ail(name, func(text string) string { return strings.Replace(text, line, "", 1) })
					at := path + " made from " + name + " without " + strings.TrimSpace(line)
					text, err := r.open("c/"+path).pread(maxRead, 0)
					if err != nil || text == "" && !mayBeEmpty(path) {
						t.Errorf("%s: %q, %v", at, text, err)
					} else {
						r.notTheHosts(at, path, text, good)
					}
					cure()
				}
			}
		}
		if keyed < 30 {
			t.Errorf("the cgroups' files have %d keys", keyed)
		}
	})
}

// TestIllWhileRead changes files while views are made from them: they come, go,
// shrink and are filled with nonsense. Readers get texts or EIO.
func TestIllWhileRead(t *testing.T) {
	eachLayout(t, func(t *testing.T, r *rig) {
		inputs := r.inputs()
		var all sync.WaitGroup
		done := make(chan struct{})
		for _, f := range r.files() {
			h := r.open("c/" + f.Path)
			all.Go(func() {
				defer h.close()
				for !closed(done) {
					text, err := h.pread(maxRead, 0)
					if err == nil && text == "" && !mayBeEmpty(f.Path) {
						t.Errorf("%s is empty", f.Path)
						return
					}
				}
			})
		}
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			for _, ill := range ills() {
				cure := r.ail(name, ill)
				r.clock.add(texts.LastGoodMaxAge + time.Second) // nothing that was read before counts
				cure()
			}
		}
		close(done)
		all.Wait()
		if counts := r.bound.Errors("c"); counts[failure.CauseInternal] > 0 || len(counts) == 0 {
			t.Errorf("counted %v:\n%s", counts, strings.Join(r.log.lines(), "\n"))
		}
		r.renew()
		for _, f := range r.files() {
			if r.read("c/"+f.Path) == "" && !mayBeEmpty(f.Path) {
				t.Errorf("%s is empty in the end", f.Path)
			}
		}
	})
}

func closed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
