// SPDX-License-Identifier: Apache-2.0

package cover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

// job is the covering of one container.
type job struct {
	Coverer
	wish      Wish
	container discover.Container
	process   *attach.Process
	files     []string
	before    []attach.Mounted // ours that are there
	theirs    []attach.Mounted // LXCFS's, if they are to be replaced
}

// do registers and covers.
func (j job) do(ctx context.Context) error {
	views, err := j.Server.Register(ctx, j.container)
	if err != nil {
		return err
	}
	results, err := j.cover(ctx, views)
	if err != nil {
		if len(j.before) == 0 {
			err = errors.Join(err, j.Server.Unregister(ctx, j.container))
		}
		return err
	}
	if views.Policy != "" {
		j.say(j.container, "policy", views.Policy)
	}
	j.tell(j.container, results)
	return nil
}

func (j job) cover(ctx context.Context, views Views) ([]attach.Result, error) {
	trees, err := OpenTrees(views.Path, j.files)
	if err != nil {
		return nil, err
	}
	defer func() { CloseTrees(trees) }()
	var results []attach.Result
	if j.wish.ReplaceLXCFS {
		if attach.Touches(j.theirs, []string{attach.LXCFSTree}) {
			whole, err := attach.OpenWhole(views.Shared)
			if err != nil {
				return nil, err
			}
			trees = append(trees, whole)
		}
		results, err = j.process.Replace(ctx, trees)
	} else {
		results, err = j.process.Attach(ctx, trees)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range j.theirs {
		if t.Fate(j.places()) == attach.Left {
			results = append(results, attach.Result{Destination: t.Destination, Action: attach.Left})
		}
	}
	if others := j.others(); len(others) > 0 {
		removed, err := j.process.Detach(ctx, others)
		if err != nil {
			return nil, err
		}
		results = append(results, removed...)
	}
	return results, nil
}

// others are the destinations of ours that aren't wanted any more.
func (j job) others() []string {
	var others []string
	for _, m := range j.before {
		if j.wish.Exact && !slices.Contains(Destinations(j.files), m.Destination) {
			others = append(others, m.Destination)
		}
	}
	return others
}

// foretell says what do would do.
func (j job) foretell(views Views) {
	if views.Policy != "" {
		j.say(j.container, "policy", "would be "+views.Policy)
	}
	for _, t := range j.theirs {
		j.say(j.container, t.Destination, fmt.Sprintf("LXCFS's would be %v", t.Fate(j.places())))
	}
	for _, d := range Destinations(j.files) {
		j.say(j.container, d, "would be covered")
	}
	for _, d := range j.others() {
		j.say(j.container, d, "would be uncovered")
	}
}

// places are where something of ours comes when LXCFS has something there.
func (j job) places() []string { return append(Destinations(j.files), attach.LXCFSTree) }

// warnOfNesting says what the container loses: a procfs that is covered
// anywhere can't be mounted anew in a nested user namespace.
func (j job) warnOfNesting() error {
	fresh, err := attach.ReadFreshProc("/proc", j.container.InitPID)
	coversProc := slices.ContainsFunc(j.files, func(f string) bool { return strings.HasPrefix(f, "proc/") })
	if err != nil || len(j.before) > 0 || !fresh.Now || !coversProc {
		return err
	}
	_, err = fmt.Fprintf(j.Warn, "procfs-shim: warning: %s: as long as the views are there, rootless containers inside it can't mount a /proc of their own\n", Label(j.container))
	return err
}

// OpenTrees opens one detached mount for each file; at says where the server has it
// for the container. CloseTrees closes them.
func OpenTrees(at func(file string) string, files []string) ([]attach.Tree, error) {
	var trees []attach.Tree
	for _, f := range files {
		t, err := attach.OpenTree(at(f), "/"+f)
		if err != nil {
			CloseTrees(trees)
			return nil, err
		}
		trees = append(trees, t)
	}
	return trees, nil
}

// CloseTrees closes what OpenTrees opened.
func CloseTrees(trees []attach.Tree) {
	for _, t := range trees {
		t.File.Close() //nolint:errcheck // it was only opened
	}
}
